from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import OneHotFamily
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import log_interior
from relaxit_torch.numerics.quadrature import log_prob_of_largest
from relaxit_torch.numerics.special import log
from relaxit_torch.numerics.temperature import tempered


class InvertibleGaussian(OneHotFamily):
    r"""Normal variables on the simplex by the softmax++, an invertible map with one category more.

    With $z_k = \mu_k + s_k \epsilon_k$ of independent $\epsilon_k \sim \mathrm{Normal}(0, 1)$, $k < K$,

    $$c_k = \frac{e^{z_k / \tau}}{\sum_{j < K} e^{z_j / \tau} + \delta}, \qquad
      c_K = \frac{\delta}{\sum_{j < K} e^{z_j / \tau} + \delta}.$$

    Density with respect to Lebesgue measure on the first $K - 1$ coordinates:

    $$\log p(c) = \sum_{k < K} \log \mathrm{N}(z_k; \mu_k, s_k^2) + (K - 1) \log \tau
      - \sum_{k \le K} \log c_k, \qquad z_k = \tau \log(\delta c_k / c_K).$$

    `harden(c)` is the one-hot argmax, exactly the `discrete` OneHotCategorical. Its probabilities
    are integrals over one variable, differentiable in all parameters. Their error is below 1e-12 in
    float64 (some roundings in float32) for scales whose ratio is at most 10^3, and below 1e-6 for
    10^6, whatever the temperature and the number of categories.

    Shapes: `loc` and `scale` `(*batch, K-1)`, `batch_shape` `batch`, `event_shape` `(K,)`, noise
    `(*batch, K-1)`.

    Gradient: pathwise.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        loc: $\mu$, finite.
        scale: $s > 0$, a standard deviation.
        delta: $\delta > 0$, the weight of the last category, as `temperature`.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> relaxed = rt.InvertibleGaussian(0.1, loc=torch.zeros(2), scale=torch.ones(2))
        >>> relaxed.rsample((1000,)).shape
        torch.Size([1000, 3])
        >>> relaxed.discrete.probs  # the last: both normal variables are negative
        tensor([0.3750, 0.3750, 0.2500])

    References:
        Potapczynski, Loaiza-Ganem, Cunningham (2020), sections 3 and 4.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "temperature": constraints.positive,
        "loc": constraints.real_vector,
        "scale": constraints.positive_vector,
        "delta": constraints.positive,
    }
    support = constraints.simplex
    base_noise = staticmethod(noise.normal)
    numbers = frozenset({"temperature", "delta"})
    temperature: Parameter
    loc: Tensor
    scale: Tensor
    delta: Parameter

    def __init__(
        self,
        temperature: Parameter,
        loc: Tensor,
        scale: Tensor,
        delta: Parameter = 1.0,
        validate_args: bool | None = None,
    ) -> None:
        parameters = {"temperature": temperature, "loc": loc, "scale": scale, "delta": delta}
        super().__init__(parameters, validate_args=validate_args)

    def _infer_event_shape(self) -> torch.Size:
        return torch.Size((self.loc.shape[-1] + 1,))

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self.loc.shape[-1:]

    def _discrete_logits(self) -> Tensor:
        # Category k is chosen where z_k is the largest and above temperature * log(delta).
        threshold = self._per_event(self.temperature) * self._log_delta
        return log_prob_of_largest(self.loc - threshold, self.scale)

    def _uniform(self) -> InvertibleGaussian:
        # Of scale 1: P(all K - 1 variables are below the threshold) = 1 / K.
        size, threshold = self.loc.shape[-1], self._per_event(self.temperature) * self._log_delta
        quantile = torch.special.ndtri(torch.full_like(self.loc, (size + 1.0) ** (-1 / size)))
        return self._with(loc=threshold - quantile, scale=torch.ones_like(self.loc))

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self._scores(noise), -1)

    def _log_prob(self, value: Tensor) -> Tensor:
        log_value = log_interior(value, self._stored_dtype)
        log_ratio = log_value[..., :-1] - log_value[..., -1:]
        z = self._per_event(self.temperature) * (log_ratio + self._log_delta)
        return self._log_density((z - self.loc) / self.scale, log_value)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        return self._log_density(noise, torch.log_softmax(self._scores(noise), -1))

    def _scores(self, noise: Tensor) -> Tensor:
        """The scores of the softmax, `(*shape, K)`; the last is 0."""
        log_odds = tempered(self.loc + self.scale * noise, self._per_event(self.temperature))
        if isinstance(self.delta, Tensor) or self.delta != 1:
            log_odds = log_odds - self._log_delta
        return torch.cat([log_odds, torch.zeros_like(log_odds[..., :1])], -1)

    def _log_density(self, noise: Tensor, log_value: Tensor) -> Tensor:
        log_slope = self._per_event(log(self.temperature)) - self.scale.log()
        log_normal = -0.5 * noise.square() - 0.5 * math.log(2 * math.pi)
        return (log_normal + log_slope).sum(-1) - log_value.sum(-1)

    @property
    def _log_delta(self) -> Parameter:
        return self._per_event(log(self.delta))

    @property
    def _log_odds(self) -> tuple[Tensor, Tensor]:
        """Mean and standard deviation of `log c_k - log c_K`, which are normal."""
        temperature = self._per_event(self.temperature)
        return tempered(self.loc, temperature) - self._log_delta, tempered(self.scale, temperature)


@kl.exact(InvertibleGaussian, InvertibleGaussian)
def _kl(p: InvertibleGaussian, q: InvertibleGaussian) -> Tensor:
    """One map leads from the log-odds to the values, whatever the parameters."""
    (p_loc, p_scale), (q_loc, q_scale) = p._log_odds, q._log_odds
    ratio, shift = p_scale / q_scale, (p_loc - q_loc) / q_scale
    return (0.5 * (ratio.square() - 1 + shift.square()) - ratio.log()).sum(-1)
