"""Rows on the simplex, each without the categories in which earlier rows peak."""

import math

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import hardmax


def without_earlier_choices(scores: Tensor) -> Tensor:
    """`scores` of rows, `(*shape, k, K)`, with -inf where an earlier row has its largest one."""
    rows = []
    taken = torch.zeros_like(scores[..., 0, :], dtype=torch.bool)
    for row in scores.unbind(-2):
        rows.append(row.masked_fill(taken, -torch.inf))
        taken = taken | (hardmax(rows[-1]) > 0)
    return torch.stack(rows, -2)


def harden(value: Tensor) -> Tensor:
    """One-hot rows in place of relaxed ones, `(*shape, k, K)`: the argmax of each.

    Of entries that round to the same, the one that the next row lacks is taken.
    """
    following = torch.cat([value[..., 1:, :], torch.zeros_like(value[..., :1, :])], -2)
    return hardmax(value - following)


def follow_from_first(value: Tensor, taken: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether each row is the one before it without its largest entry, normalised again.

    Up to the rounding of `dtype`, in which the rows were stored. A softmax has the relative error
    of its exponentials: an ulp of their arguments, which go as far as the logarithm of the smallest
    number. Four of these are allowed, and of the ulps of what is stored. What has underflowed is
    lost to its entry and, once for each entry, to the sum that normalises.

    Args:
        value: `(*shape, k, K)`.
        taken: the categories that earlier rows have, of the same shape.
        dtype: in which the rows were stored.
    """
    stored, worked = torch.finfo(dtype), torch.finfo(value.dtype)
    relative = 4 * (stored.eps - worked.eps * math.log(stored.tiny * stored.eps))
    lost = worked.tiny + stored.tiny * stored.eps
    taken, after = taken[..., 1:, :], value[..., 1:, :]
    before = value[..., :-1, :].masked_fill(taken, 0)
    expected = after * before.sum(-1, keepdim=True)
    allowed = relative * torch.maximum(before, expected) + lost * (1 + value.shape[-1] * after)
    follows = ((before - expected).abs() <= allowed) & (~taken | (after == 0))
    return follows.all(-1).all(-1)
