"""The sum of the rows of a top-k relaxation, without the rows."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import Kernel


def top_k_indices(score: Tensor, k: int) -> Tensor:
    """The indices of the `k` largest entries, in descending order; of equal ones any."""
    return score.detach().topk(k).indices


class SumOfSoftmaxes(Kernel):
    """The sum of `k` softmaxes of `score`, each without the entries in which earlier ones peak.

    `score` is `(*shape, K)`; `order`, `(*shape, k)`, has the indices of its largest entries. Time
    and memory are one softmax's, in the backward pass too: scores and result are kept. What belongs
    to `k` entries is in float64, as scores of 10^4 have three digits after the point in float32.
    """

    @staticmethod
    def plain(score: Tensor, order: Tensor) -> Tensor:
        rows = score.unsqueeze(-2).expand(*order.shape, score.shape[-1])
        chosen = torch.zeros_like(rows).scatter(-1, order.unsqueeze(-1), 1.0)
        earlier = chosen.cumsum(-2) - chosen
        return torch.softmax(rows.masked_fill(earlier > 0, -torch.inf), -1).sum(-2)

    @staticmethod
    def forward(ctx: Any, score: Tensor, order: Tensor) -> Tensor:
        top = score.gather(-1, order)
        least = top[..., -1:]
        weight = (score - least).exp_().scatter_(-1, order, 0.0)
        # The logarithm of what all rows have: finite, also where nothing is left to them.
        log_rest = (weight.sum(-1, keepdim=True).double() + 1e-300).log() + least
        # `log Z_j` of each row. Z_j is added up from the last row: subtracting what was taken
        # would leave nothing of it.
        upwards = torch.cat([log_rest, top.double().flip(-1)], -1).logcumsumexp(-1)
        log_normaliser = upwards[..., 1:].flip(-1)
        # An entry is exp(score) times the sum of 1 / Z_j over the rows that have it.
        log_inverse = (-log_normaliser).logcumsumexp(-1)
        total = weight.mul_((least + log_inverse[..., -1:]).exp().to(score.dtype))
        total.scatter_(-1, order, (top + log_inverse).exp().to(score.dtype))
        ctx.save_for_backward(score, order, total, log_rest, log_normaliser, log_inverse)
        return total

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        score, order, total, log_rest, log_normaliser, log_inverse = ctx.saved_tensors
        gradient = gradients[0]
        if torch.is_grad_enabled():  # for a second derivative
            twin = SumOfSoftmaxes.plain(score, order)
            return torch.autograd.grad(twin, score, gradient, create_graph=True)[0], None
        # With rows r_j and g the gradient of their sum c: that of the scores is the sum of
        # r_j (g - <g, r_j>), which is c (g - m) with m the mean of <g, r_j> over the rows that have
        # the entry, weighted by 1 / Z_j.
        top = score.gather(-1, order).double()
        of_top = gradient.gather(-1, order)
        result = (total * gradient).scatter_(-1, order, 0.0)
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
        result.addcmul_(total, means[..., -1:].to(score.dtype), value=-1)
        return result.scatter_(-1, order, moved.to(score.dtype)), None


def _running_mean(values: Tensor, log_weights: Tensor, log_sums: Tensor) -> Tensor:
    """The weighted mean of each entry and those before it, for the last entries of `values`.

    `log_sums` has the logarithms of the sums of their weights.
    """
    shift = 1 - values.amin(-1, keepdim=True)
    sums = (log_weights + (values + shift).log()).logcumsumexp(-1)
    return (sums[..., -log_sums.shape[-1] :] - log_sums).exp() - shift


sum_of_softmaxes = SumOfSoftmaxes.call
