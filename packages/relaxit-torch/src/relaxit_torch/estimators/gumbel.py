"""Estimators that differentiate relaxed samples of Gumbel-Softmax or Binary Concrete."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution
from torch.nn.functional import softplus

from relaxit_torch.core.parameters import Parameter, check_count
from relaxit_torch.distributions.binary_concrete import BinaryConcrete
from relaxit_torch.distributions.gumbel_rao import perturbed_given as categories_given
from relaxit_torch.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import straight_through as forward_hard


def gumbel_softmax(
    distribution: Distribution, f: SampleFunction, *, temperature: Parameter = 1.0
) -> Tensor:
    r"""Gumbel-Softmax, or Concrete: `f` and its gradient at a relaxed sample.

    The samples come from `GumbelSoftmax` or `BinaryConcrete`. The value is `f` at the sample.

    Biased: it estimates the gradient of the relaxed objective. As the temperature goes to 0, the
    bias vanishes and the variance grows without bound. Evaluations of `f`: 1. `f` must be
    differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called on relaxed samples, in the interior of the simplex or of (0, 1).
        temperature: $\tau > 0$. See `relaxit_torch.estimators`.

    Raises:
        ValueError: `temperature` is not positive and finite, or does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(8, 4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> f = lambda c: c[..., 0].square()
        >>> value = rt.estimators.gumbel_softmax(categories, f, temperature=0.5)
        >>> value.shape
        torch.Size([8])

    References:
        Jang, Gu, Poole (2017), Categorical Reparameterization with Gumbel-Softmax; Maddison,
        Mnih, Teh (2017), The Concrete Distribution.
    """
    variable = DiscreteVariable.of(distribution)
    return variable.differentiate(f, _relaxation(variable, temperature, hard=False).rsample())


def gumbel_softmax_straight_through(
    distribution: Distribution, f: SampleFunction, *, temperature: Parameter = 1.0
) -> Tensor:
    r"""Straight-through Gumbel-Softmax: a discrete sample forward, its relaxation backward.

    Biased. Evaluations of `f`: 1. `f` must be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called and differentiated at discrete samples.
        temperature: $\tau > 0$. See `relaxit_torch.estimators`.

    Raises:
        ValueError: `temperature` is not positive and finite, or does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(8, 4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> value = rt.estimators.gumbel_softmax_straight_through(categories, lambda z: z[..., 0])
        >>> bool(((value == 0) | (value == 1)).all())
        True

    References:
        Jang, Gu, Poole (2017), Categorical Reparameterization with Gumbel-Softmax: the
        straight-through estimator.
    """
    variable = DiscreteVariable.of(distribution)
    return variable.differentiate(f, _relaxation(variable, temperature, hard=True).rsample())


def gumbel_rao(
    distribution: Distribution,
    f: SampleFunction,
    *,
    temperature: Parameter = 1.0,
    samples: int = 10,
) -> Tensor:
    r"""Gumbel-Rao: straight-through Gumbel-Softmax, averaged over the noise given the sample.

    The discrete sample is drawn once. Given this sample, the noise is drawn `samples` times, and
    the derivatives of the relaxed samples are averaged. `GumbelRao` is the distribution.

    Biased like `gumbel_softmax_straight_through`, with less variance. Evaluations of `f`: 1. `f`
    must be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called and differentiated at discrete samples.
        temperature: $\tau > 0$. See `relaxit_torch.estimators`.
        samples: How often the noise is drawn. Time and memory grow with it.

    Raises:
        ValueError: `temperature` is not positive and finite, or does not broadcast; or `samples`
            is not a positive integer.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(8, 4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> value = rt.estimators.gumbel_rao(categories, lambda z: z[..., 0], samples=100)
        >>> bool(((value == 0) | (value == 1)).all())
        True

    References:
        Paulus, Maddison, Krause (2021), Rao-Blackwellizing the Straight-Through Gumbel-Softmax
        Gradient Estimator.
    """
    variable = DiscreteVariable.of(distribution)
    check_count("samples", samples)
    hard = variable.sample()
    # Given the sample, the noise depends on the logits, but is not differentiated.
    constant = perturbed_given(variable, hard, samples) - variable.logits.detach()
    soft = variable.squash(variable.divided(variable.logits + constant, temperature))
    return variable.differentiate(f, forward_hard(hard, soft.mean(0)))


@torch.no_grad()
def perturbed_given(variable: DiscreteVariable, value: Tensor, samples: int) -> Tensor:
    """Perturbed logits `(samples, *batch, *event)`, drawn given that they harden to `value`."""
    logits, shape = variable.logits, torch.Size((samples, *value.shape))
    if variable.one_hot:
        gumbel = noise.gumbel(shape, dtype=logits.dtype, device=logits.device)
        return categories_given(value, logits, gumbel)
    # The quantile function of a logistic variable that is truncated at 0.
    uniform = noise.uniform(shape, dtype=logits.dtype, device=logits.device)
    sign = 2 * value - 1
    return sign * (softplus(sign * logits + uniform.log()) - torch.log1p(-uniform))


def _relaxation(
    variable: DiscreteVariable, temperature: Parameter, *, hard: bool
) -> GumbelSoftmax | BinaryConcrete:
    variable.check_temperature(temperature)
    family = GumbelSoftmax if variable.one_hot else BinaryConcrete
    return family(
        temperature, logits=variable.logits, hard=hard, validate_args=variable.validate_args
    )
