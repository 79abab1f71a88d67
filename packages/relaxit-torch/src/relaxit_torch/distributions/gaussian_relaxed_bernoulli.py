from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.special import ndtr, ndtri

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import BinaryFamily
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import clip
from relaxit_torch.numerics.normal import log_ndtr, logit_ndtr, normal_moments_between
from relaxit_torch.numerics.special import log


class GaussianRelaxedBernoulli(BinaryFamily):
    r"""A stochastic gate: a normal variable clipped to [0, 1].

    With $\epsilon \sim \mathrm{Normal}(0, 1)$,

    $$c = \min(\max(\mu + s\,\epsilon, 0), 1).$$

    Density with respect to $\delta_0$ + Lebesgue measure on (0, 1) + $\delta_1$:

    $$p(0) = \Phi(-\mu / s), \qquad p(1) = \Phi((\mu - 1) / s), \qquad
      p(c) = \phi((c - \mu) / s) / s \text{ between}.$$

    `harden(c)` is `c > 1/2`, exactly the `discrete` Bernoulli($\Phi((\mu - 1/2) / s)$).

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: pathwise; zero where the value is clipped.

    Args:
        loc: $\mu$, finite.
        scale: $s > 0$, a standard deviation; fixed in training unless it asks for a gradient.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> loc = torch.full((20,), 0.5, requires_grad=True)
        >>> gates = rt.GaussianRelaxedBernoulli(loc)
        >>> penalty = gates.prob_nonzero.sum()  # the expected number of open gates
        >>> round(penalty.item(), 3)
        16.827

    References:
        Yamada, Lindenbaum, Negahban, Kluger (2020), section 3, with the gate centred at 1/2.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real,
        "scale": constraints.positive,
    }
    support = constraints.unit_interval
    base_noise = staticmethod(noise.normal)
    numbers = frozenset({"scale"})
    loc: Tensor
    scale: Parameter

    def __init__(
        self, loc: Parameter, scale: Parameter = 0.5, validate_args: bool | None = None
    ) -> None:
        super().__init__({"loc": loc, "scale": scale}, validate_args=validate_args)

    @property
    def prob_nonzero(self) -> Tensor:
        """The probability that the gate is open, the penalty of Yamada et al., `(*batch)`."""
        return self._evaluate("_prob_nonzero")

    def _prob_nonzero(self) -> Tensor:
        return ndtr(self.loc / self.scale)

    def _discrete_logits(self) -> Tensor:
        return logit_ndtr((self.loc - 0.5) / self.scale)

    def _uniform(self) -> GaussianRelaxedBernoulli:
        return self._with(loc=torch.full_like(self.loc, 0.5))

    def _relax(self, noise: Tensor) -> Tensor:
        if isinstance(self.scale, Tensor):
            return clip(self.loc + self.scale * noise)
        return clip(torch.add(self.loc, noise, alpha=self.scale))

    def _log_prob(self, value: Tensor) -> Tensor:
        z = (value - self.loc) / self.scale
        between = -0.5 * z.square() - 0.5 * math.log(2 * math.pi) - log(self.scale)
        at_0, at_1 = self._log_masses()
        return torch.where(value <= 0, at_0, torch.where(value >= 1, at_1, between))

    def _cdf(self, value: Tensor) -> Tensor:
        return torch.where(value >= 1, 1.0, ndtr((value - self.loc) / self.scale))

    def _icdf(self, value: Tensor) -> Tensor:
        return self._relax(ndtri(value))

    def _mean(self) -> Tensor:
        between, first, _ = self._moments_between()
        return self.loc * between + self.scale * first + ndtr((self.loc - 1) / self.scale)

    def _variance(self) -> Tensor:
        between, first, second = self._moments_between()
        mean, scale = self._mean(), self.scale
        shift = self.loc - mean
        inner = shift**2 * between + 2 * shift * scale * first + scale**2 * second
        at_0, at_1 = ndtr(-self.loc / scale), ndtr((self.loc - 1) / scale)
        return mean**2 * at_0 + (1 - mean) ** 2 * at_1 + inner

    def _entropy(self) -> Tensor:
        between, _, second = self._moments_between()
        log_0, log_1 = self._log_masses()
        inner = between * (log(self.scale) + 0.5 * math.log(2 * math.pi)) + second / 2
        return inner - log_0.exp() * log_0 - log_1.exp() * log_1

    def _log_masses(self) -> tuple[Tensor, Tensor]:
        """The log-probabilities of 0 and of 1."""
        return log_ndtr(-self.loc / self.scale), log_ndtr((self.loc - 1) / self.scale)

    def _moments_between(self) -> tuple[Tensor, Tensor, Tensor]:
        """Moments of the standard normal variable between the clipping points."""
        return normal_moments_between(-self.loc / self.scale, (1 - self.loc) / self.scale)


@kl.exact(GaussianRelaxedBernoulli, GaussianRelaxedBernoulli)
def _kl(p: GaussianRelaxedBernoulli, q: GaussianRelaxedBernoulli) -> Tensor:
    """The two point masses, and the normal densities between them."""
    between, first, second = p._moments_between()
    (p_0, p_1), (q_0, q_1) = p._log_masses(), q._log_masses()
    ratio, shift = p.scale / q.scale, (p.loc - q.loc) / q.scale
    # E[log p - log q] between: with x = mu_p + s_p z, the deviation from q is ratio z + shift.
    inner = -log(ratio) * between + 0.5 * (
        (ratio**2 - 1) * second + 2 * ratio * shift * first + shift**2 * between
    )
    return p_0.exp() * (p_0 - q_0) + p_1.exp() * (p_1 - q_1) + inner
