from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.distributions.concrete import kl_of_logistic
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import log_logistic_density
from relaxit_torch.numerics.special import log
from relaxit_torch.numerics.temperature import tempered


class LogitBinaryConcrete(BernoulliFamily):
    r"""The logit of a Binary Concrete variable: exact where that one saturates at 0 or 1.

    With $L \sim \mathrm{Logistic}(0, 1)$,

    $$y = \frac{\operatorname{logit} \pi + L}{\tau}.$$

    Density with respect to Lebesgue measure on the real line, with
    $t = \operatorname{logit} \pi - \tau y$: a logistic density with location
    $\operatorname{logit} \pi / \tau$ and scale $1 / \tau$,

    $$\log p(y) = \log \tau + t - 2 \operatorname{softplus} t.$$

    `harden(y)` is `y > 0`, exactly Bernoulli($\pi$) at every temperature.

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: pathwise.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> relaxed = rt.LogitBinaryConcrete(0.01, logits=torch.zeros(1000))
        >>> bool(relaxed.log_prob(relaxed.rsample()).isfinite().all())
        True

    References:
        Maddison, Mnih, Teh (2017), appendix B and section C.3.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **BernoulliFamily.arg_constraints,
        "temperature": constraints.positive,
    }
    support = constraints.real
    base_noise = staticmethod(noise.logistic)
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        super().__init__(parameters, validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        return tempered(self.logits + noise, self.temperature)

    def _harden(self, value: Tensor) -> Tensor:
        return (value > 0).to(value.dtype)

    def _log_prob(self, value: Tensor) -> Tensor:
        t = self.logits - self.temperature * value
        return log(self.temperature) + log_logistic_density(t)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        density = log(self.temperature) + log_logistic_density(noise)
        return density.expand(torch.broadcast_shapes(density.shape, self.batch_shape))

    def _cdf(self, value: Tensor) -> Tensor:
        return torch.sigmoid(self.temperature * value - self.logits)

    def _icdf(self, value: Tensor) -> Tensor:
        return tempered(self.logits + torch.logit(value), self.temperature)

    def _mean(self) -> Tensor:
        return tempered(self.logits, self.temperature)

    def _mode(self) -> Tensor:
        return self._mean()

    def _variance(self) -> Tensor:
        scale = tempered(torch.ones_like(self.logits), self.temperature)
        return math.pi**2 / 3 * scale**2

    def _entropy(self) -> Tensor:
        return torch.full_like(self.logits, 2.0) - log(self.temperature)

    def _log_space(self) -> LogitBinaryConcrete:
        return self

    def _from_log_space(self, value: Tensor) -> Tensor:
        return torch.sigmoid(value)


@kl.exact(LogitBinaryConcrete, LogitBinaryConcrete)
def _kl(p: LogitBinaryConcrete, q: LogitBinaryConcrete) -> Tensor:
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl_of_logistic(p.logits - q.logits)
