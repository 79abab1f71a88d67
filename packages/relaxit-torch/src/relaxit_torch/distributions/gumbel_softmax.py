from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions.constraints import dependent_property

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import CategoricalFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.distributions.exp_gumbel_softmax import (
    ExpGumbelSoftmax,
    log_density,
    log_density_from_noise,
    scores,
)
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.special import log_interior
from relaxit_torch.numerics.straight_through import one_hot


class GumbelSoftmax(CategoricalFamily):
    r"""Gumbel-Softmax, or Concrete: a one-hot category relaxed to the interior of the simplex.

    With independent $g_k \sim \mathrm{Gumbel}(0, 1)$,

    $$c = \operatorname{softmax}\left(\frac{\log \pi + g}{\tau}\right).$$

    Density with respect to Lebesgue measure on the first $K - 1$ coordinates:

    $$\log p(c) = \log \Gamma(K) + (K - 1) \log \tau
      + \sum_k (\log \pi_k - (\tau + 1) \log c_k) - K \log \sum_k \pi_k c_k^{-\tau}.$$

    A category with `logits = -inf` gets exactly 0; the density is then that on the others.

    `harden(c)` is the one-hot argmax, exactly Categorical($\pi$) at every temperature.

    Shapes: parameters `(*batch, K)`, `batch_shape` `batch`, `event_shape` `(K,)`.

    Gradient: pathwise, of the relaxed objective; its bias against the categorical objective
    vanishes with the temperature. With `hard=True`, `rsample` returns one-hot vectors, `log_prob`
    scores them under Categorical($\pi$), and the backward pass is that of the relaxed sample
    (straight-through, biased): the temperature acts on the backward pass alone, and `logits / 2`
    has the forward temperature 2. With `backward_temperature` the value is that at `temperature`,
    and the backward pass that of the sample at `backward_temperature` with the same noise (biased);
    the density, and its gradient, is that of the value at `temperature`.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ on the simplex; not clamped.
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen.
        hard: sample the one-hot variable itself.
        validate_args: see `RelaxedDistribution`, as for what is raised.
        backward_temperature: that of the backward pass, likewise; None for the same.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.tensor([[0.0, 1.0, -1.0], [2.0, 0.0, -torch.inf]], requires_grad=True)
        >>> choice = rt.GumbelSoftmax(0.5, logits=logits, hard=True).rsample((100,))
        >>> choice.shape
        torch.Size([100, 2, 3])
        >>> (choice * torch.arange(3.0)).sum().backward()
        >>> bool(logits.grad.isfinite().all())
        True

    References:
        Jang, Gu, Poole (2017), equation 2; Maddison, Mnih, Teh (2017), equation 10; two
        temperatures: Shah, Yan, Mozer, Liu (2024), Decoupled Straight-Through Gumbel-Softmax.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **CategoricalFamily.arg_constraints,
        "temperature": constraints.positive,
        "backward_temperature": constraints.positive,
    }
    numbers = frozenset({"temperature", "backward_temperature"})
    noise_law = staticmethod(noise.gumbel)
    temperature: Parameter
    backward_temperature: Parameter | None = None

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        hard: bool = False,
        validate_args: bool | None = None,
        *,
        backward_temperature: Parameter | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        if backward_temperature is not None:
            parameters["backward_temperature"] = backward_temperature
        super().__init__(parameters, hard=hard, validate_args=validate_args)

    @dependent_property(is_discrete=False, event_dim=1)
    def support(self) -> Any:
        return constraints.one_hot if self.hard else constraints.simplex

    def _log_space(self) -> ExpGumbelSoftmax:
        return ExpGumbelSoftmax(self.temperature, logits=self.logits, validate_args=False)

    def _from_log_space(self, value: Tensor) -> Tensor:
        return value.exp()

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(scores(self, noise), -1)

    def _value(self, noise: Tensor) -> Tensor:
        if self.backward_temperature is not None:
            return self._decoupled(noise, self.backward_temperature)
        return one_hot(scores(self, noise)) if self.hard else self._relax(noise)

    def _decoupled(self, noise: Tensor, backward_temperature: Parameter) -> Tensor:
        """The value, with the gradient of that at the other temperature."""
        backward = GumbelSoftmax(
            backward_temperature, logits=self.logits, hard=self.hard, validate_args=False
        )
        slope = backward._value(noise)
        # A hard one is the same at every temperature.
        return slope if self.hard else self._relax(noise).detach() + (slope - slope.detach())

    def _log_prob(self, value: Tensor) -> Tensor:
        log_value = log_interior(value, self.storage_dtype)
        possible = self.possible
        density = log_density(self, possible, log_value, log_value)
        contradicted = torch.where(possible, 0, value).sum(-1) > 0
        return torch.where(contradicted, -torch.inf, density)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        log_value = torch.log_softmax(scores(self, noise), -1)
        return log_density_from_noise(self, noise, log_value)


@kl.exact(GumbelSoftmax, GumbelSoftmax)
def _kl(p: GumbelSoftmax, q: GumbelSoftmax) -> Tensor:
    if p.hard or q.hard:
        return kl.of_discrete_laws(p, q)
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl.of_concrete(p.logits, q.logits)
