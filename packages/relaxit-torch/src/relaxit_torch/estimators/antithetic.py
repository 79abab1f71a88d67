"""Estimators for Bernoulli variables that use pairs of antithetic samples."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction, attach


def arm(distribution: Distribution, f: SampleFunction) -> Tensor:
    r"""Augment-REINFORCE-merge (ARM), for Bernoulli variables.

    With $L \sim \mathrm{Logistic}(0, 1)$ and logits $\theta$,

    $$\hat g = (f(b) - f(b')) \left(\sigma(L) - \tfrac{1}{2}\right), \qquad
      b = 1[\theta + L > 0], \quad b' = 1[\theta - L > 0].$$

    Unbiased. Evaluations of `f`: 2. `f` need not be differentiable.

    Args:
        distribution: `Bernoulli`, or `Independent` of it.
        f: See `relaxit_torch.estimators`. The value is its mean over the pair.

    Raises:
        TypeError: The distribution is not binary.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = torch.distributions.Bernoulli(logits=logits)
        >>> rt.estimators.arm(bits, lambda b: (b > 0.4).float()).sum().backward()
        >>> bool((logits.grad >= 0).all())
        True

    References:
        Yin, Zhou (2019), ARM: Augment-REINFORCE-Merge Gradient for Stochastic Binary Networks.
    """
    variable, noise, _, values = _evaluate_pair(distribution, f, "arm")
    return _estimate(variable, values, torch.tanh(noise / 2) / 2)


def disarm(distribution: Distribution, f: SampleFunction) -> Tensor:
    r"""DisARM: ARM, averaged over the noise given the pair of samples.

    With $b$ and $b'$ as in `arm`,

    $$\hat g = \tfrac{1}{2} (f(b) - f(b')) (b - b') \sigma(|\theta|).$$

    Unbiased, with less variance than `arm`. Evaluations of `f`: 2. `f` need not be differentiable.

    Args:
        distribution: `Bernoulli`, or `Independent` of it.
        f: See `relaxit_torch.estimators`. The value is its mean over the pair.

    Raises:
        TypeError: The distribution is not binary.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = torch.distributions.Bernoulli(logits=logits)
        >>> rt.estimators.disarm(bits, lambda b: (b > 0.4).float()).sum().backward()
        >>> logits.grad  # exact, because the logits are 0
        tensor([0.2500, 0.2500, 0.2500])

    References:
        Dong, Mnih, Tucker (2020), DisARM: An Antithetic Gradient Estimator for Binary Latent
        Variables; found independently as U2G by Yin, Ho, Yan, Qian, Zhou (2020).
    """
    variable, _, pair, values = _evaluate_pair(distribution, f, "disarm")
    weight = (pair[0] - pair[1]) * torch.sigmoid(variable.logits.detach().abs()) / 2
    return _estimate(variable, values, weight)


def _evaluate_pair(
    distribution: Distribution, f: SampleFunction, name: str
) -> tuple[DiscreteVariable, Tensor, Tensor, Tensor]:
    """The variable, the noise, the pair of samples `(2, *batch, *event)`, and their values."""
    variable = DiscreteVariable.of(distribution)
    if variable.one_hot:
        raise TypeError(
            f"distribution must be Bernoulli, or Independent of it, for {name}, "
            f"but got {distribution!r}"
        )
    noise = variable.draw_noise()
    pair = variable.harden(variable.logits.detach() + torch.stack([noise, -noise]))
    return variable, noise, pair, variable.evaluate(f, pair)


def _estimate(variable: DiscreteVariable, values: Tensor, weight: Tensor) -> Tensor:
    """The mean of both values. Its gradient is their difference times `weight`."""
    difference = (values[0] - values[1]).detach()
    return attach(values.mean(0), difference * variable.sum_event(weight * variable.logits))
