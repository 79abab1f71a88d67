"""Forward hard, backward soft: the one place that does it."""

from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics.autograd import Function
from relaxit_torch.numerics.top_k import hardmax


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Returns `hard` exactly, with the gradient of `soft` (Bengio et al. 2013, section 2).

    `hard` is 0 or 1 and `soft` in [0, 1], elementwise. The order of the operations matters:
    `soft + (hard - soft)` rounds to exactly 0 or 1 in every dtype, `hard + soft - soft` does not.
    """
    return soft + (hard - soft.detach())


def bernoulli(probs: Tensor, uniform: Tensor) -> Tensor:
    """1 where `uniform` is less than `probs`, else 0, with the gradient of `probs`."""
    value: Tensor = _Bernoulli.call(probs, uniform)
    return value


def positive(score: Tensor) -> Tensor:
    """1 where `score` is positive, else 0, with the gradient of `sigmoid(score)`.

    Not from the sigmoid, which around 0 is rounded to 1/2.
    """
    value: Tensor = _Positive.call(score)
    return value


def one_hot(score: Tensor, dim: int = -1) -> Tensor:
    """The argmax of `score` as a one-hot vector, with the gradient of `softmax(score)`.

    Not from the softmax, which for small differences is rounded to ties.
    """
    value: Tensor = _OneHot.call(score, dim)
    return value


def greater(x: Tensor, y: Tensor | float) -> Tensor:
    """1 where `x > y`, else 0, in the dtype of `x`, without gradient.

    One kernel, and on a CPU half of the time of a comparison and a conversion of its result.
    """
    if not torch.compiler.is_compiling():
        try:
            return torch.gt(x, y, out=x.new_empty(0))
        except RuntimeError:  # torch.func.vmap has no rule for results that are given
            pass
    return (x > y).to(x.dtype)


class _Bernoulli(Function):
    @staticmethod
    def forward(probs: Tensor, uniform: Tensor) -> Tensor:
        return greater(probs, uniform)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None

    @classmethod
    def elsewhere(cls, probs: Tensor, uniform: Tensor) -> Tensor:
        return straight_through(greater(probs.detach(), uniform), probs)


class _Positive(Function):
    """Keeps the score, of which only the backward pass takes the sigmoid."""

    @staticmethod
    def forward(score: Tensor) -> Tensor:
        return greater(score, 0.0)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        soft = torch.sigmoid(ctx.saved_tensors[0])
        slope: Tensor = torch.ops.aten.sigmoid_backward.default(gradients[0], soft)
        return slope

    @classmethod
    def elsewhere(cls, score: Tensor) -> Tensor:
        return straight_through(greater(score.detach(), 0.0), torch.sigmoid(score))


class _OneHot(Function):
    """Keeps the score, of which only the backward pass takes the softmax."""

    @staticmethod
    def forward(score: Tensor, dim: int) -> Tensor:
        return hardmax(score, dim)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, int], output: Tensor) -> None:
        ctx.dim = inputs[1]
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        soft = torch.softmax(ctx.saved_tensors[0], ctx.dim)
        slope: Tensor = torch.ops.aten._softmax_backward_data.default(
            gradients[0], soft, ctx.dim, soft.dtype
        )
        return slope, None

    @classmethod
    def elsewhere(cls, score: Tensor, dim: int) -> Tensor:
        return straight_through(hardmax(score, dim), torch.softmax(score, dim))
