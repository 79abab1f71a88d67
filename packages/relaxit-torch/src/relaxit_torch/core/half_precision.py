"""float16 and bfloat16: the arithmetic is that of float32, whose result is rounded once."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from relaxit_torch.numerics.autograd import Function

if TYPE_CHECKING:
    from relaxit_torch.core.relaxed_distribution import RelaxedDistribution

LOW_PRECISION = (torch.float16, torch.bfloat16)


def in_float32(method: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Runs a method on the float32 copy where parameters have low precision; rounds the result."""

    @functools.wraps(method)
    def raised(self: RelaxedDistribution, *tensors: Tensor) -> Tensor:
        working = self._working
        return method(working, *(t.to(working.dtype) for t in tensors)).to(self.dtype)

    return raised


def from_float16(value: Tensor) -> Tensor:
    """float16 to float32. A gradient beyond the range of float16 becomes its greatest number: the
    infinity that it would be rounded to is NaN as soon as a saturated softmax multiplies it by 0.
    """
    raised: Tensor = _FromFloat16.call(value)
    return raised


class _FromFloat16(Function):
    @staticmethod
    def forward(value: Tensor) -> Tensor:
        return value.float()

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        pass

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        greatest = torch.finfo(torch.float16).max
        return gradients[0].clamp(-greatest, greatest).half()
