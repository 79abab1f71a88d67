from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import CategoricalFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.distributions.concrete import (
    kl_of_categories,
    log_density,
    log_density_from_noise,
)
from relaxit_torch.distributions.exp_gumbel_softmax import ExpGumbelSoftmax
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import log_interior, one_hot
from relaxit_torch.numerics.temperature import tempered


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
    support = constraints.simplex
    hard_support = constraints.one_hot
    numbers = frozenset({"temperature", "backward_temperature"})
    base_noise = staticmethod(noise.gumbel)
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

    def _relax(self, noise: Tensor) -> Tensor:
        value = torch.softmax(self._scores(noise, self.temperature), -1)
        if self.backward_temperature is None:
            return value
        slope = torch.softmax(self._scores(noise, self.backward_temperature), -1)
        return value.detach() + (slope - slope.detach())

    def _relax_hard(self, noise: Tensor) -> Tensor:
        # The hard value is the same at every temperature.
        backward = self.backward_temperature
        return one_hot(self._scores(noise, self.temperature if backward is None else backward), -1)

    def _scores(self, noise: Tensor, temperature: Parameter) -> Tensor:
        return tempered(self.logits + noise, self._per_event(temperature))

    def _log_prob(self, value: Tensor) -> Tensor:
        log_value = log_interior(value, self._stored_dtype)
        return log_density(log_value, value > 0, self.logits, self.temperature, log_value)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        log_value = torch.log_softmax(self._scores(noise, self.temperature), -1)
        return log_density_from_noise(noise, self.logits, self.temperature, log_value)

    def _log_space(self) -> ExpGumbelSoftmax:
        return ExpGumbelSoftmax(self.temperature, logits=self.logits, validate_args=False)

    def _from_log_space(self, value: Tensor) -> Tensor:
        return value.exp()


@kl.exact(GumbelSoftmax, GumbelSoftmax)
def _kl(p: GumbelSoftmax, q: GumbelSoftmax) -> Tensor:
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl_of_categories(p.logits, q.logits)
