"""Rows on the simplex, each without the categories in which earlier rows peak."""

import math

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import argmax, hardmax


def without_earlier_choices(scores: Tensor) -> Tensor:
    """`scores` of rows, `(*shape, k, K)`, with -inf where an earlier row has its largest one."""
    rows = []
    taken = torch.zeros_like(scores[..., 0, :], dtype=torch.bool)
    for row in scores.unbind(-2):
        rows.append(row.masked_fill(taken, -torch.inf))
        taken = taken.scatter(-1, argmax(rows[-1]), 1)
    return torch.stack(rows, -2)


def harden(value: Tensor) -> Tensor:
    """The one-hot argmax of each relaxed row, `(*shape, k, K)`.

    If several entries are largest after rounding, the argmax is the entry that the next row lacks.
    """
    following = torch.cat([value[..., 1:, :], torch.zeros_like(value[..., :1, :])], -2)
    return hardmax(value - following)


def follow_from_first(value: Tensor, taken: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether each row is the one before it without its largest entry, normalised again.

    The rows are compared up to the rounding of `dtype`, in which they were stored. The relative
    error of a softmax is an ulp of the arguments of its exponentials. The largest argument is the
    logarithm of the smallest number, without its sign. Four such errors are allowed, and four ulps
    of a stored number. Underflow takes up to the smallest number from an entry, and up to K such
    numbers from the sum that normalises the row.

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
