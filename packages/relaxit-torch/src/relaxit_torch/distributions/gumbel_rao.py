from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints
from relaxit_torch.core.families import CategoricalFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import straight_through
from relaxit_torch.numerics.temperature import tempered


class GumbelRao(CategoricalFamily):
    r"""Gumbel-Rao: a one-hot category, with the mean gradient of all relaxed ones that become it.

    With independent $g_{sk} \sim \mathrm{Gumbel}(0, 1)$ the value is

    $$b = \operatorname{onehot}\left(\operatorname{argmax}_k (\log \pi_k + g_{0k})\right).$$

    Density with respect to counting measure on the one-hot vectors, at every temperature:

    $$\log p(b) = \sum_k b_k \log \pi_k.$$

    Shapes: parameters `(*batch, K)`, `batch_shape` `batch`, `event_shape` `(K,)`; noise
    `(samples + 1, K)`.

    Gradient: straight-through, biased. The backward pass is that of

    $$c = \frac{1}{S} \sum_{s = 1}^S \operatorname{softmax}\left(\frac{\log \pi + h_s}{\tau}\right),$$

    whose noise $h_s$ has the law of $g$ given $b$ and is a constant: with $i$ the category that is
    chosen, $\log \pi_i + h_{si} = g_{si}$, the greatest score, and
    $\log \pi_k + h_{sk} = -\log(e^{-\log \pi_k - g_{sk}} + e^{-g_{si}})$ the others. Its mean is the
    gradient of `GumbelSoftmax` with `hard=True`; its variance is less.

    Args:
        temperature: $\tau > 0$ of the backward pass, a number or a tensor of the batch shape.
        probs: $\pi$ on the simplex; not clamped.
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen.
        samples: $S$, how often noise is drawn given the category. Time and memory grow with it.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> choice = rt.GumbelRao(0.5, logits=logits, samples=100).rsample((20,))
        >>> choice.shape
        torch.Size([20, 4])
        >>> (choice @ torch.arange(4.0)).mean().backward()
        >>> bool(logits.grad.isfinite().all())
        True

    References:
        Paulus, Maddison, Krause (2021), Rao-Blackwellizing the Straight-Through Gumbel-Softmax
        Gradient Estimator; the noise given the category: Maddison, Tarlow, Minka (2014).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **CategoricalFamily.arg_constraints,
        "temperature": constraints.positive,
        "samples": constraints.count,
    }
    support = constraints.one_hot
    base_noise = staticmethod(noise.gumbel)
    hard = True
    temperature: Parameter
    samples: int

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        samples: int = 10,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters.update(temperature=temperature, samples=samples)
        super().__init__(parameters, validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        return self._mean_given(self._choose(noise), noise)

    def _relax_hard(self, noise: Tensor) -> Tensor:
        choice = self._choose(noise)
        return straight_through(choice, self._mean_given(choice, noise))

    def _choose(self, noise: Tensor) -> Tensor:
        return self._harden(self.logits.detach() + noise[..., 0, :])

    def _mean_given(self, choice: Tensor, noise: Tensor) -> Tensor:
        """The mean of the relaxed samples whose noise is drawn given the choice."""
        logits, temperature = self.logits.unsqueeze(-2), self._per_event(self.temperature)
        possible = logits > -torch.inf
        log_probs = torch.log_softmax(logits.detach(), -1)
        log_probs = torch.where(possible, log_probs, 0)  # impossible ones are masked below
        given = perturbed_given(choice.unsqueeze(-2), log_probs, noise[..., 1:, :])
        constant = given - torch.where(possible, logits.detach(), 0)
        if isinstance(temperature, Tensor):
            temperature = temperature.unsqueeze(-1)
        return torch.softmax(tempered(logits + constant, temperature), -1).mean(-2)

    @property
    def _noise_event_shape(self) -> torch.Size:
        return torch.Size((self.samples + 1, *self.event_shape))


def perturbed_given(choice: Tensor, log_probs: Tensor, gumbel: Tensor) -> Tensor:
    """Log-probabilities plus Gumbel noise, drawn given that the largest of them is `choice`.

    The largest is Gumbel(0, 1), as the probabilities have a sum of 1. The others are cut off there.
    """
    largest = (choice * gumbel).sum(-1, keepdim=True)
    others = -torch.logaddexp(-gumbel - log_probs, -largest)
    return torch.where(choice > 0, largest, others)
