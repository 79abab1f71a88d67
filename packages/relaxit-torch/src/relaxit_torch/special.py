"""Functions of one variable that torch lacks or gets wrong at the ends of their range."""

import math

import torch
from torch import Tensor

from relaxit_torch.parameters import Parameter


def log(parameter: Parameter) -> Parameter:
    """`log` of a number (a number) or of a tensor (a tensor)."""
    return parameter.log() if isinstance(parameter, Tensor) else math.log(parameter)


def log_interior(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`log(value)` for `value` in [0, 1], where 0 counts as the smallest number of `dtype`.

    The gradient is that of `log`, but zero where `1 / value` times a few further factors would
    overflow: infinity times the zero derivative of a saturated softmax would be NaN.
    """
    limits = torch.finfo(dtype)
    # Room for factors up to 1/eps above 1/value; in float16 the square root leaves more of (0, 1).
    floor = min(limits.tiny / limits.eps, math.sqrt(limits.tiny))
    held = torch.where(value < floor, value.detach(), value)
    # After the logarithm: the smallest number may count as 0 before it (flush to zero).
    return held.log().clamp(min=math.log(limits.tiny * limits.eps))


def below_one(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`value` in [0, 1], where 1 counts as the largest number of `dtype` below it."""
    return value.clamp(max=1 - torch.finfo(dtype).eps / 2)


def log_softmax(scores: Tensor) -> Tensor:
    """`log_softmax` over the last dimension, accurate also for the entry that is nearly certain.

    `torch.log_softmax` loses that entry's logarithm when the others sum to less than an ulp of 1:
    it returns 0 for -1e-8. Here 1 is never added to that sum (`scipy.special.logsumexp`).
    """
    top = scores.argmax(-1, keepdim=True)
    shifted = scores - scores.gather(-1, top)
    others = shifted.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return shifted - others.log1p()


def normal_density(x: Tensor) -> Tensor:
    """The density of the standard normal law (`scipy.stats.norm.pdf`)."""
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def log_ndtr(x: Tensor) -> Tensor:
    """The logarithm of the standard normal distribution function (`scipy.special.log_ndtr`).

    `torch.special.log_ndtr` has no batching rule for `torch.func.vmap`.
    """
    # Each branch sees only arguments at which it is finite, so that no gradient is NaN.
    left, right = x.clamp(max=-1), x.clamp(min=-1)
    tail = torch.log(torch.special.erfcx(left * -math.sqrt(0.5)) / 2) - 0.5 * left.square()
    centre = torch.log1p(-torch.special.erfc(right * math.sqrt(0.5)) / 2)
    return torch.where(x < -1, tail, centre)
