from __future__ import annotations

from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor
from torch.distributions.constraints import dependent_property

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.half_precision import in_float32
from relaxit_torch.core.parameters import Parameter, check, exactly_one_of
from relaxit_torch.distributions.logit_binary_concrete import LogitBinaryConcrete
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.special import below_one, log, log_interior, log_logistic_density
from relaxit_torch.numerics.straight_through import positive


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
    noise_law = staticmethod(noise.logistic)
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

    @dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        return constraints.boolean if self.hard else constraints.unit_interval

    def harden(self, value: Tensor) -> Tensor:
        return (value > 0.5).to(value.dtype)

    def _log_space(self) -> LogitBinaryConcrete:
        return LogitBinaryConcrete(self.temperature, logits=self.logits, validate_args=False)

    def _from_log_space(self, value: Tensor) -> Tensor:
        return torch.sigmoid(value)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.sigmoid(self._tempered(self.logits + noise))

    def _value(self, noise: Tensor) -> Tensor:
        score = self._tempered(self.logits + noise)
        return positive(score) if self.hard else torch.sigmoid(score)

    def _log_prob(self, value: Tensor) -> Tensor:
        return log_density(self, value)[0]

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        return log_density_from_noise(self, noise)

    @in_float32
    def cdf(self, value: Tensor) -> Tensor:
        if self.hard:
            raise NotImplementedError("BinaryConcrete(hard=True) has no cdf: use discrete")
        if self._validate_args:
            check("value", value, self.support)
        return torch.sigmoid(self.temperature * torch.logit(value) - self.logits)

    @in_float32
    def icdf(self, value: Tensor) -> Tensor:
        if self.hard:
            raise NotImplementedError("BinaryConcrete(hard=True) has no icdf: use discrete")
        if self._validate_args:
            check("value", value, constraints.unit_interval)
        return torch.sigmoid((self.logits + torch.logit(value)) / self.temperature)


class _Concrete(Protocol):
    """What the density needs, of a number or of each entry of an event."""

    temperature: Parameter
    storage_dtype: torch.dtype

    @property
    def logits(self) -> Tensor: ...
    def _per_event(self, parameter: Parameter) -> Parameter: ...


def log_density(concrete: _Concrete, value: Tensor) -> tuple[Tensor, Tensor]:
    """The log density of each entry of `value`, and the logistic noise that it comes from."""
    temperature = concrete._per_event(concrete.temperature)
    value = below_one(value, concrete.storage_dtype)
    log_value, log_rest = log_interior(value, concrete.storage_dtype), torch.log1p(-value)
    noise = temperature * (log_value - log_rest) - concrete.logits
    return log(temperature) + log_logistic_density(noise) - log_value - log_rest, noise


def log_density_from_noise(concrete: _Concrete, noise: Tensor) -> Tensor:
    """The same from the logistic noise of each entry."""
    temperature = concrete._per_event(concrete.temperature)
    score = (concrete.logits + noise) / temperature
    # The density of the score is that of the noise, stretched by the temperature.
    return log(temperature) + log_logistic_density(noise) - log_logistic_density(score)


@kl.exact(BinaryConcrete, BinaryConcrete)
def _kl(p: BinaryConcrete, q: BinaryConcrete) -> Tensor:
    """Maddison et al., appendix C.3: at one temperature, that of the logistic variables."""
    if p.hard or q.hard:
        return kl.of_discrete_laws(p, q)
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl.of_logistic(p.logits - q.logits)
