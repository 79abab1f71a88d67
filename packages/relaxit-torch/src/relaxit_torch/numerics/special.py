"""Functions of one variable that torch lacks or gets wrong at the ends of their range."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import argmax


def log(parameter: float | Tensor) -> float | Tensor:
    """`log` of a number (a number) or of a tensor (a tensor)."""
    return parameter.log() if isinstance(parameter, Tensor) else math.log(parameter)


def below_one(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`value` in [0, 1], where 1 counts as the largest number of `dtype` below it."""
    return torch.where(value < 1, value, 1 - torch.finfo(dtype).eps / 2)


def log_softmax(scores: Tensor) -> Tensor:
    """`log_softmax` over the last dimension, accurate also for the entry that is nearly certain.

    `torch.log_softmax` loses that entry's logarithm when the others sum to less than an ulp of 1:
    it returns 0 for -1e-8. Here 1 is never added to that sum (`scipy.special.logsumexp`).
    """
    top = argmax(scores)
    shifted = scores - scores.gather(-1, top)
    others = shifted.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return shifted - others.log1p()


def complement_of_shares(shares: Tensor) -> Tensor:
    """`1 - shares` over the last dimension, precise also for a share that is nearly 1.

    The sum of all shares is 1, so that the complement of the largest is the sum of the others.
    """
    top = argmax(shares)
    others = shares.scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return (1 - shares).scatter(-1, top, others)


def log_gamma_entropy(a: Tensor) -> Tensor:
    """The entropy of the logarithm of a Gamma(a) variable: `lgamma(a) - a psi(a) + a`.

    Precise also for a large `a`, where it is that of a normal variable of variance `1 / a` and the
    three terms cancel (`scipy.stats.loggamma.entropy`).
    """
    near, far = torch.where(a < 10, a, 1), torch.where(a < 10, 10, a)
    direct = torch.lgamma(near) - near * torch.digamma(near) + near
    # Stirling's series: B_2n / ((2n - 1) a^(2n - 1)), up to the term below an ulp at a = 10.
    coefficients = (1 / 6, -1 / 90, 1 / 210, -1 / 210, 5 / 594, -691 / 30_030, 7 / 78)
    inverse = far.reciprocal()
    square, series = inverse.square(), coefficients[-1] * inverse
    for coefficient in reversed(coefficients[:-1]):
        series = series * square + coefficient * inverse
    normal = 0.5 * (math.log(2 * math.pi) + 1 - far.log())
    return torch.where(a < 10, direct, normal + series)


def log1mexpexp(x: Tensor) -> Tensor:
    """`log(1 - exp(-exp(x)))`: the logarithm of the inverse of the complementary log-log link.

    Precise on both sides: it approaches `x` far to the left, and 0 to the right.
    """
    # Each branch sees only arguments at which it is finite, so that no gradient is NaN. At the ends
    # of the clamps it has reached its limit: exp(-40) and exp(-exp(4)) are less than an ulp of 1.
    negative, positive = torch.where(x < 0, x, -1), torch.where(x < 0, 1, x)
    low, high = negative.clamp(min=-40).exp(), positive.clamp(max=4).exp()
    left = negative + torch.log(-torch.expm1(-low) / low)
    return torch.where(x < 0, left, torch.log1p(-torch.exp(-high)))
