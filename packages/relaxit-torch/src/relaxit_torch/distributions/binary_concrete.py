from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.distributions import concrete
from relaxit_torch.distributions.logit_binary_concrete import LogitBinaryConcrete
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import log_logistic_density, positive
from relaxit_torch.numerics.temperature import tempered


class BinaryConcrete(BernoulliFamily):
    r"""Binary Concrete, the two-category Gumbel-Softmax: a Bernoulli variable relaxed to (0, 1).

    With $L \sim \mathrm{Logistic}(0, 1)$,

    $$c = \sigma\left(\frac{\operatorname{logit} \pi + L}{\tau}\right).$$

    Density with respect to Lebesgue measure on (0, 1), with
    $t = \operatorname{logit} \pi - \tau \operatorname{logit} c$:

    $$\log p(c) = \log \tau + t - 2 \operatorname{softplus} t - \log c - \log(1 - c).$$

    `harden(c)` is `c > 1/2`, exactly Bernoulli($\pi$) at every temperature.

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: pathwise, of the relaxed objective; its bias against the Bernoulli objective vanishes
    with the temperature. With `hard=True`, `rsample` returns 0 or 1, `log_prob` scores that
    under Bernoulli($\pi$), and the backward pass is that of the relaxed sample (straight-through,
    biased).

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        hard: sample the Bernoulli variable itself.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.tensor([-1.0, 0.0, 2.0], requires_grad=True)
        >>> relaxed = rt.BinaryConcrete(0.5, logits=logits)
        >>> gates = relaxed.rsample((100,))
        >>> gates.shape
        torch.Size([100, 3])
        >>> gates.sum().backward()
        >>> bool((logits.grad > 0).all())
        True

    References:
        Maddison, Mnih, Teh (2017), appendix B; Jang, Gu, Poole (2017).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **BernoulliFamily.arg_constraints,
        "temperature": constraints.positive,
    }
    support = constraints.unit_interval
    hard_support = constraints.boolean
    base_noise = staticmethod(noise.logistic)
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        hard: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        super().__init__(parameters, hard=hard, validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.sigmoid(tempered(self.logits + noise, self.temperature))

    def _relax_hard(self, noise: Tensor) -> Tensor:
        return positive(tempered(self.logits + noise, self.temperature))

    def _log_prob(self, value: Tensor) -> Tensor:
        noise, log_slope = concrete.bit_noise(
            value, self.logits, self.temperature, self._stored_dtype
        )
        return concrete.bit_log_density(noise, log_slope, self.temperature)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        # log c + log(1 - c) at the score is a logistic density there.
        score = tempered(self.logits + noise, self.temperature)
        return concrete.bit_log_density(noise, log_logistic_density(score), self.temperature)

    def _cdf(self, value: Tensor) -> Tensor:
        return torch.sigmoid(self.temperature * torch.logit(value) - self.logits)

    def _icdf(self, value: Tensor) -> Tensor:
        return torch.sigmoid(tempered(self.logits + torch.logit(value), self.temperature))

    def _log_space(self) -> LogitBinaryConcrete:
        return LogitBinaryConcrete(self.temperature, logits=self.logits, validate_args=False)

    def _from_log_space(self, value: Tensor) -> Tensor:
        return torch.sigmoid(value)


@kl.exact(BinaryConcrete, BinaryConcrete)
def _kl(p: BinaryConcrete, q: BinaryConcrete) -> Tensor:
    """Maddison et al., appendix C.3: at one temperature, the logistic variables decide."""
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return concrete.kl_of_logistic(p.logits - q.logits)
