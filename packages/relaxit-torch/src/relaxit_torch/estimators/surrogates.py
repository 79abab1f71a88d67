"""Straight-through estimators: the backward pass multiplies by a Jacobian given the sample."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core.parameters import Parameter
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction, attach
from relaxit_torch.numerics.kernels import straight_through as forward_hard


def straight_through(distribution: Distribution, f: SampleFunction) -> Tensor:
    r"""Straight-through: the sample forward, the probabilities backward.

    The estimate is $J(p) \nabla f(z)$, where $J(p)$ is the derivative of the probabilities $p$:
    $\operatorname{diag}(p) - p p^T$ for categories, $p (1 - p)$ for bits.

    Biased, unless `f` is linear in each variable. Evaluations of `f`: 1. `f` must be
    differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called and differentiated at discrete samples.

    Raises:
        ValueError: `f` is not differentiable.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> payoff = torch.tensor([0.0, 1.0, 2.0, 5.0])
        >>> rt.estimators.straight_through(categories, lambda z: z @ payoff).backward()
        >>> logits.grad  # exact, because f is linear
        tensor([-0.5000, -0.2500,  0.0000,  0.7500])

    References:
        Bengio, Léonard, Courville (2013), Estimating or Propagating Gradients Through Stochastic
        Neurons for Conditional Computation.
    """
    variable = DiscreteVariable.of(distribution)
    return variable.differentiate(f, forward_hard(variable.sample(), variable.probs))


def decoupled_straight_through(
    distribution: Distribution,
    f: SampleFunction,
    *,
    forward_temperature: Parameter = 1.0,
    backward_temperature: Parameter = 1.0,
) -> Tensor:
    r"""Straight-through with one temperature for the sample and one for the backward pass.

    With logits $\theta$, the sample is drawn from $\operatorname{softmax}(\theta / \tau_f)$, and
    the backward pass differentiates $\operatorname{softmax}(\theta / \tau_b)$. For bits, sigmoids
    replace softmax. At $\tau_f = \tau_b = 1$ this is `straight_through`. With $\tau_f \ne 1$ the
    samples do not come from `distribution`.

    Biased. Evaluations of `f`: 1. `f` must be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called and differentiated at discrete samples.
        forward_temperature: $\tau_f > 0$. See `relaxit_torch.estimators`.
        backward_temperature: $\tau_b > 0$.

    Raises:
        ValueError: A temperature is not positive and finite, or does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = torch.distributions.Bernoulli(logits=logits)
        >>> estimator = rt.estimators.decoupled_straight_through
        >>> estimator(bits, lambda b: b, backward_temperature=2.0).sum().backward()
        >>> logits.grad  # p (1 - p) / 2
        tensor([0.1250, 0.1250, 0.1250])

    References:
        Shah, Yan, Mozer, Liu (2024), Improving Discrete Optimisation Via Decoupled Straight-Through
        Estimator, arXiv 2410.13331v2. Version 1 has two temperatures of Gumbel-Softmax:
        `GumbelSoftmax(..., backward_temperature=...)`.
    """
    variable = DiscreteVariable.of(distribution)
    scores = variable.divided(
        variable.logits, forward_temperature, name="forward_temperature"
    ).detach()
    hard = variable.harden(scores + variable.draw_noise())
    soft = variable.squash(
        variable.divided(variable.logits, backward_temperature, name="backward_temperature")
    )
    return variable.differentiate(f, forward_hard(hard, soft))


def reinmax(
    distribution: Distribution, f: SampleFunction, *, temperature: Parameter = 1.0
) -> Tensor:
    r"""ReinMax: straight-through to second order, by Heun's method.

    With the probabilities $p$, the probabilities $p_\tau$ at the temperature, and $J$ as in
    `straight_through`,

    $$\hat g = \left(2 J(q) - \tfrac{1}{2} J(p)\right) \nabla f(z), \qquad
      q = \tfrac{1}{2} (z + p_\tau).$$

    Biased, unless the temperature is 1 and `f` is quadratic in each variable. Evaluations of `f`:
    1. `f` must be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called and differentiated at discrete samples.
        temperature: $\tau > 0$. See `relaxit_torch.estimators`. Above 1, the bias is larger and
            the variance smaller.

    Raises:
        ValueError: `temperature` is not positive and finite, or does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = torch.distributions.Bernoulli(logits=logits)
        >>> rt.estimators.reinmax(bits, lambda b: (b - 0.4) ** 2).sum().backward()
        >>> logits.grad.shape
        torch.Size([3])

    References:
        Liu, Dong, Liu, Yu, Gao (2023), Bridging Discrete and Backpropagation: Straight-Through and
        Beyond.
    """
    variable = DiscreteVariable.of(distribution)
    hard = variable.sample()
    middle = (hard + variable.squash(variable.divided(variable.logits, temperature))) / 2
    path = 2 * variable.jacobian(middle) - variable.jacobian(variable.probs) / 2
    return variable.differentiate(f, attach(hard, path))
