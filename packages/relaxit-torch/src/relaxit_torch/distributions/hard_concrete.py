from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core import constraints
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import clip, hard_sigmoid, log_logistic_density
from relaxit_torch.numerics.special import log
from relaxit_torch.numerics.temperature import tempered


class HardConcrete(BernoulliFamily):
    r"""A Binary Concrete variable stretched beyond 0 and 1 and clipped: a gate that can close.

    With $L \sim \mathrm{Logistic}(0, 1)$, one for each element,

    $$s = \sigma\left(\frac{\operatorname{logit} \pi + L}{\tau}\right), \qquad
      c = \min(\max((\zeta - \gamma) s + \gamma, 0), 1).$$

    Density with respect to $\delta_0$ + Lebesgue measure on (0, 1) + $\delta_1$, with $F$ and $f$
    the distribution function and density of the Binary Concrete variable $s$ and
    $s(c) = (c - \gamma) / (\zeta - \gamma)$:

    $$p(0) = F(s(0)), \qquad p(1) = 1 - F(s(1)), \qquad
      p(c) = f(s(c)) / (\zeta - \gamma) \text{ between}.$$

    `harden(c)` is `c > 1/2`, exactly the `discrete` Bernoulli variable, which is Bernoulli($\pi$)
    where $\gamma + \zeta = 1$.

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: pathwise; zero where the value is clipped.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        low: $\gamma < 0$, the lower end of the stretched interval.
        high: $\zeta > 1$, the upper end.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> gates = rt.HardConcrete(logits=torch.zeros(3))
        >>> gates.prob_nonzero
        tensor([0.8318, 0.8318, 0.8318])
        >>> gates.deterministic_gate
        tensor([0.5000, 0.5000, 0.5000])

    References:
        Louizos, Welling, Kingma (2018), section 2.2 and equations 11 to 13.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **BernoulliFamily.arg_constraints,
        "temperature": constraints.positive,
        "low": constraints.negative,
        "high": constraints.above_one,
    }
    support = constraints.unit_interval
    base_noise = staticmethod(noise.logistic)
    numbers = frozenset({"temperature", "low", "high"})
    temperature: Parameter
    low: Parameter
    high: Parameter

    def __init__(
        self,
        temperature: Parameter = 2 / 3,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        low: Parameter = -0.1,
        high: Parameter = 1.1,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters.update(temperature=temperature, low=low, high=high)
        super().__init__(parameters, validate_args=validate_args)

    @property
    def prob_nonzero(self) -> Tensor:
        """The probability that the gate is open, the L0 penalty of Louizos et al., `(*batch)`."""
        return self._evaluate("_prob_nonzero")

    @property
    def deterministic_gate(self) -> Tensor:
        """The gate of test time: the stretched and clipped probability, `(*batch)`."""
        return self._evaluate("_deterministic_gate")

    def _prob_nonzero(self) -> Tensor:
        return torch.sigmoid(-self._logit_of_mass_at_0())

    def _deterministic_gate(self) -> Tensor:
        return clip((self.high - self.low) * self.probs + self.low)

    def _discrete_logits(self) -> Tensor:
        return self.logits - self._logit_of_middle()

    def _uniform(self) -> HardConcrete:
        return self._with(logits=torch.zeros_like(self.logits) + self._logit_of_middle())

    def _relax(self, noise: Tensor) -> Tensor:
        score, temperature = self.logits + noise, self.temperature
        # The kernel takes a number, and its backward pass has a factor to multiply it by.
        if isinstance(temperature, Tensor):
            score, temperature = tempered(score, temperature), 1.0
        return hard_sigmoid(score, self.low, self.high, temperature)

    def _log_prob(self, value: Tensor) -> Tensor:
        above, below = value - self.low, self.high - value  # s / (1 - s) is their ratio
        t = self.logits - self.temperature * (above.log() - below.log())
        width = log(self.high - self.low)
        density = log(self.temperature) + log_logistic_density(t)
        between = density + width - above.log() - below.log()
        at_0, at_1 = logsigmoid(self._logit_of_mass_at_0()), logsigmoid(self._logit_of_mass_at_1())
        return torch.where(value <= 0, at_0, torch.where(value >= 1, at_1, between))

    def _cdf(self, value: Tensor) -> Tensor:
        log_ratio = (value - self.low).log() - (self.high - value).log()
        below = torch.sigmoid(self.temperature * log_ratio - self.logits)
        return torch.where(value >= 1, 1.0, below)

    def _icdf(self, value: Tensor) -> Tensor:
        return self._relax(torch.logit(value))

    def _logit_of_mass_at_0(self) -> Tensor:
        return self.temperature * (log(-self.low) - log(self.high)) - self.logits

    def _logit_of_mass_at_1(self) -> Tensor:
        return self.logits - self.temperature * (log(1 - self.low) - log(self.high - 1))

    def _logit_of_middle(self) -> Parameter:
        """The log-odds at which a gate is as often above 1/2 as below."""
        return self.temperature * (log(0.5 - self.low) - log(self.high - 0.5))
