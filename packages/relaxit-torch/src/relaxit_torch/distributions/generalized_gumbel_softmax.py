from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution, Geometric, NegativeBinomial, Poisson

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import OneHotFamily
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.distributions.concrete import (
    kl_of_categories,
    log_density,
    log_density_from_noise,
)
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.counts import log_prob_of_truncated_count
from relaxit_torch.numerics.kernels import log_interior, one_hot
from relaxit_torch.numerics.temperature import tempered


class GeneralizedGumbelSoftmax(OneHotFamily):
    r"""Generalized Gumbel-Softmax: a count, truncated to $n$ values and relaxed.

    The count $X$ is Poisson, geometric or negative binomial, of mean $\lambda$ and variance
    $\lambda + \alpha \lambda^2$, and is truncated to $\min(X, n - 1)$. With independent
    $g_k \sim \mathrm{Gumbel}(0, 1)$ for $k = 0, \dots, n - 1$,

    $$c = \operatorname{softmax}\left(\frac{\log \pi + g}{\tau}\right), \qquad
      \pi_k = P(X = k) \text{ for } k < n - 1, \quad \pi_{n-1} = P(X \ge n - 1).$$

    The relaxed count is the linear image $\sum_k k\,c_k$, `count(c)`. The events are the weights $c$
    and not that image, whose density is an integral over $n - 2$ dimensions.

    Density with respect to Lebesgue measure on the first $n - 1$ coordinates: that of
    `GumbelSoftmax` with the probabilities $\pi$.

    `harden(c)` is the one-hot argmax, `count(harden(c))` exactly $\min(X, n - 1)$ at every
    temperature. What truncation changes is `truncation_error`, $P(X \ge n)$: the total variation
    distance from $X$.

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `(n,)`.

    Gradient: pathwise, of the relaxed objective; its bias against that of the truncated count
    vanishes with the temperature. With `hard=True`, `rsample` returns one-hot vectors, `log_prob`
    scores them under $\pi$, and the backward pass is that of the relaxed sample (straight-through,
    biased).

    Args:
        truncation: $n$, the number of values that are told apart.
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        rate: $\lambda > 0$, the mean of $X$.
        dispersion: $\alpha \ge 0$: 0 for Poisson, 1 for geometric, $1/r$ for the sum of $r$
            geometric variables, a negative binomial one.
        hard: sample the one-hot variable itself.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> rate = torch.tensor([0.5, 3.0], requires_grad=True)
        >>> relaxed = rt.GeneralizedGumbelSoftmax(12, 0.5, rate)
        >>> relaxed.truncation_error < 1e-4
        tensor([True, True])
        >>> relaxed.count(relaxed.rsample((100,))).mean().backward()
        >>> bool((rate.grad > 0).all())
        True

    References:
        Joo, Kim, Shin, Moon (2020).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "truncation": constraints.count,
        "temperature": constraints.positive,
        "rate": constraints.positive,
        "dispersion": constraints.non_negative,
    }
    support = constraints.simplex
    hard_support = constraints.one_hot
    base_noise = staticmethod(noise.gumbel)
    numbers = frozenset({"temperature", "dispersion"})
    truncation: int
    temperature: Parameter
    rate: Tensor
    dispersion: Parameter

    def __init__(
        self,
        truncation: int,
        temperature: Parameter,
        rate: Parameter,
        dispersion: Parameter = 0.0,
        hard: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        parameters = {
            "truncation": truncation,
            "temperature": temperature,
            "rate": rate,
            "dispersion": dispersion,
        }
        super().__init__(parameters, hard=hard, validate_args=validate_args)

    @classmethod
    def from_distribution(
        cls, distribution: Distribution, temperature: Parameter, truncation: int, **options: Any
    ) -> GeneralizedGumbelSoftmax:
        """Relaxes a `Poisson`, `Geometric` or `NegativeBinomial` of `torch.distributions`."""
        if isinstance(distribution, Poisson):
            return cls(truncation, temperature, distribution.rate, **options)
        if isinstance(distribution, Geometric):
            return cls(truncation, temperature, (-distribution.logits).exp(), 1.0, **options)
        if isinstance(distribution, NegativeBinomial):
            rate = distribution.total_count * distribution.logits.exp()
            return cls(truncation, temperature, rate, 1 / distribution.total_count, **options)
        raise TypeError(
            "distribution must be Poisson, Geometric or NegativeBinomial, "
            f"but got {type(distribution).__name__}"
        )

    def count(self, value: Tensor) -> Tensor:
        """The count of relaxed or one-hot weights, `sum_k k value_k`: `(*shape, n)` to `(*shape)`."""
        counts = torch.arange(self.truncation, dtype=value.dtype, device=value.device)
        return (value * counts).sum(-1)  # no matrix product, which autocast would lower

    @property
    def truncation_error(self) -> Tensor:
        r"""$P(X \ge n)$, by how much probabilities of the truncated count can differ, `(*batch)`."""
        return self._evaluate("_truncation_error")

    @property
    def logits(self) -> Tensor:
        r"""$\log \pi$, `(*batch, n)`."""
        return self._evaluate("_discrete_logits")

    def _truncation_error(self) -> Tensor:
        return self._log_probs(self.truncation + 1)[..., -1].exp()

    def _discrete_logits(self) -> Tensor:
        return self._log_probs(self.truncation)

    def _log_probs(self, values: int) -> Tensor:
        # In float64: in float32 the rounding of the others would move a tail of 0.01 by 1e-5.
        rate, dispersion = self.rate.double().unsqueeze(-1), self._per_event(self.dispersion)
        return log_prob_of_truncated_count(values, rate, dispersion).to(self.dtype)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self._scores(noise), -1)

    def _relax_hard(self, noise: Tensor) -> Tensor:
        return one_hot(self._scores(noise), -1)

    def _scores(self, noise: Tensor) -> Tensor:
        return tempered(self.logits + noise, self._per_event(self.temperature))

    def _log_prob(self, value: Tensor) -> Tensor:
        log_value = log_interior(value, self._stored_dtype)
        return log_density(log_value, value > 0, self.logits, self.temperature, log_value)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        log_value = torch.log_softmax(self._scores(noise), -1)
        return log_density_from_noise(noise, self.logits, self.temperature, log_value)

    def _infer_event_shape(self) -> torch.Size:
        return torch.Size((self.truncation,))


@kl.exact(GeneralizedGumbelSoftmax, GeneralizedGumbelSoftmax)
def _kl(p: GeneralizedGumbelSoftmax, q: GeneralizedGumbelSoftmax) -> Tensor:
    kl.require_equal("truncation", p.truncation, q.truncation)
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl_of_categories(p.logits, q.logits)
