"""Rows on the simplex, each without the categories in which earlier rows are greatest."""

import math
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics.autograd import Function
from relaxit_torch.numerics.top_k import argmax, hardmax


def without_earlier_choices(scores: Tensor) -> Tensor:
    """`scores` of rows, `(*shape, k, K)`, with -inf where an earlier row has its greatest one."""
    rows = []
    taken = torch.zeros_like(scores[..., 0, :], dtype=torch.bool)
    for row in scores.unbind(-2):
        rows.append(row.masked_fill(taken, -torch.inf))
        taken = taken.scatter(-1, argmax(rows[-1]), True)
    return torch.stack(rows, -2)


def harden(value: Tensor) -> Tensor:
    """One-hot rows in place of relaxed ones, `(*shape, k, K)`: the argmax of each.

    Of entries that round to the same, it is that which the next row lacks.
    """
    following = torch.cat([value[..., 1:, :], torch.zeros_like(value[..., :1, :])], -2)
    return hardmax(value - following)


def follow_from_first(value: Tensor, taken: Tensor, dtype: torch.dtype) -> Tensor:
    """Whether each row is the one before it without its greatest entry, normalised again.

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


def sum_of_softmaxes(score: Tensor, order: Tensor) -> Tensor:
    """The sum of `softmax(without_earlier_choices(rows))` of `k` equal rows `score`.

    Without the rows: memory and time are those of one softmax, in the backward pass too.

    Args:
        score: `(*shape, K)`.
        order: where its `k` greatest entries are, `(*shape, k)`.
    """
    total: Tensor = _SumOfSoftmaxes.call(score, order)[0]
    return total


class _SumOfSoftmaxes(Function):
    """Keeps scores and result. What belongs to `k` entries is in float64: scores of 10^4 have three
    digits after the point in float32.
    """

    @staticmethod
    def forward(score: Tensor, order: Tensor) -> tuple[Tensor, ...]:
        top = score.gather(-1, order)
        least = top[..., -1:]
        weight = (score - least).exp_()
        weight = _put(weight, order, torch.zeros_like(top))
        # The logarithm of what all rows have, a finite number also where nothing is left to them.
        log_rest = (weight.sum(-1, keepdim=True).double() + 1e-300).log() + least
        # An entry is exp(score) times the sum of 1 / Z_j over the rows that have it.
        log_normaliser, log_inverse = _scans(top, log_rest)
        total = weight.mul_((least + log_inverse[..., -1:]).exp().to(score.dtype))
        total = _put(total, order, (top + log_inverse).exp().to(score.dtype))
        return total, log_rest, log_normaliser, log_inverse

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: tuple[Tensor, ...]) -> None:
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(*output[2:])
        ctx.save_for_backward(*inputs, *output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Tensor, None]:
        # With rows r_j and g the gradient of their sum c: that of the scores is the sum of
        # r_j (g - <g, r_j>), which is c (g - m) with m the mean of <g, r_j> over the rows that have
        # the entry, weighted by 1 / Z_j.
        score, order, total, log_rest, log_normaliser, log_inverse = ctx.saved_tensors
        gradient, of_log_rest = gradients[:2]
        if gradient is None:
            gradient = torch.zeros_like(total)
        top = score.gather(-1, order).double()
        if torch.is_grad_enabled():  # for the second derivative
            log_normaliser, log_inverse = _scans(top, log_rest)
        of_top = gradient.gather(-1, order)
        result = total * gradient
        result = _put(result, order, torch.zeros_like(of_top))
        # What all rows have, as a share of the last one, and the mean of g there.
        mass = (log_rest + log_inverse[..., -1:]).exp() + torch.finfo(score.dtype).tiny
        of_others = result.sum(-1, keepdim=True) / mass
        products = _running_mean(
            torch.cat([of_others, of_top.flip(-1)], -1).double(),
            torch.cat([log_rest, top.flip(-1)], -1),
            log_normaliser.flip(-1),
        )
        means = _running_mean(products.flip(-1), -log_normaliser, log_inverse)
        moved = total.gather(-1, order) * (of_top - means)
        last = means[..., -1:]
        if of_log_rest is not None:
            last = last - of_log_rest / mass
        result = torch.addcmul(result, total, last.to(score.dtype), value=-1)
        return _put(result, order, moved.to(score.dtype)), None


def _put(target: Tensor, order: Tensor, values: Tensor) -> Tensor:
    """`target.scatter_(-1, order, values)`, for which `torch.func.vmap` has no rule.

    Overwrites `target`, but one with gaps or in another order of its dimensions.
    """
    target = target.contiguous()
    starts = torch.arange(0, target.numel(), target.shape[-1], device=target.device)
    index = order + starts.view(*target.shape[:-1], 1)
    target.view(-1).index_put_((index.reshape(-1),), values.reshape(-1))
    return target


def _scans(top: Tensor, log_rest: Tensor) -> tuple[Tensor, Tensor]:
    """`log Z_j` of each row, and the logarithm of the sum of `1 / Z_j` up to it.

    `Z_j` is added up from the last row: to subtract what was taken would leave nothing of it.
    """
    upwards = torch.cat([log_rest, top.double().flip(-1)], -1).logcumsumexp(-1)
    log_normaliser = upwards[..., 1:].flip(-1)
    return log_normaliser, (-log_normaliser).logcumsumexp(-1)


def _running_mean(values: Tensor, log_weights: Tensor, log_sums: Tensor) -> Tensor:
    """The mean of each entry and those before it, weighted, where `log_sums` has the weights' sums:
    the last ones of `values`.
    """
    shift = 1 - values.amin(-1, keepdim=True)
    sums = (log_weights + (values + shift).log()).logcumsumexp(-1)
    return (sums[..., -log_sums.shape[-1] :] - log_sums).exp() - shift
