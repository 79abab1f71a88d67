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
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.special import log, log_softmax
from relaxit_torch.numerics.temperature import tempered

EULER_GAMMA = 0.5772156649015329


class ExpGumbelSoftmax(CategoricalFamily):
    r"""The logarithm of a Gumbel-Softmax variable: exact where that one underflows to 0.

    With independent $g_k \sim \mathrm{Gumbel}(0, 1)$,

    $$y = \log\operatorname{softmax}\left(\frac{\log \pi + g}{\tau}\right).$$

    Density with respect to Lebesgue measure on $y_k - y_K$, $k < K$:

    $$\log p(y) = \log \Gamma(K) + (K - 1) \log \tau + \sum_k (\log \pi_k - \tau y_k)
      - K \log \sum_k \pi_k e^{-\tau y_k}.$$

    A category with `logits = -inf` has `y = -inf`; the density is then that on the others.

    `harden(y)` is the one-hot argmax, exactly Categorical($\pi$) at every temperature.

    Shapes: parameters `(*batch, K)`, `batch_shape` `batch`, `event_shape` `(K,)`.

    Gradient: pathwise.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ on the simplex; not clamped.
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> relaxed = rt.ExpGumbelSoftmax(0.01, logits=torch.zeros(1000, 5))
        >>> bool(relaxed.log_prob(relaxed.rsample()).isfinite().all())
        True

    References:
        Maddison, Mnih, Teh (2017), section C.3, equation 26.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **CategoricalFamily.arg_constraints,
        "temperature": constraints.positive,
    }
    support = constraints.log_simplex
    base_noise = staticmethod(noise.gumbel)
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        super().__init__(parameters, validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        return log_softmax(tempered(self.logits + noise, self._per_event(self.temperature)))

    def _log_prob(self, value: Tensor) -> Tensor:
        present = value > -torch.inf
        finite = torch.where(present, value, 0)
        density = log_density(finite, present, self.logits, self.temperature)
        return density.masked_fill((self.possible & ~present).any(-1), -torch.inf)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        return log_density_from_noise(noise, self.logits, self.temperature)

    def _entropy(self) -> Tensor:
        count = self.possible.sum(-1).to(self.dtype)
        # log p(y) is a function of the noise alone: E[g] = gamma, E[log sum exp(-g)] = psi(K).
        return (
            count * (torch.digamma(count) + EULER_GAMMA)
            - torch.lgamma(count)
            - (count - 1) * log(self.temperature)
        )

    def _log_space(self) -> ExpGumbelSoftmax:
        return self

    def _from_log_space(self, value: Tensor) -> Tensor:
        return value.exp()


@kl.exact(ExpGumbelSoftmax, ExpGumbelSoftmax)
def _kl(p: ExpGumbelSoftmax, q: ExpGumbelSoftmax) -> Tensor:
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl_of_categories(p.logits, q.logits)
