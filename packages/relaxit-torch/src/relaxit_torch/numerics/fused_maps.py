"""Maps that keep no more for their backward pass than one tensor, mostly their output.

Autograd would keep an intermediate tensor of each step. Plain operations do as well where torch's
own backward pass is from the output already (softmax, sigmoid).
"""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics import cholesky
from relaxit_torch.numerics.autograd import Function
from relaxit_torch.numerics.straight_through import greater

# torch's fused backward kernels: a comparison and a `where` of random masks take ten times as long.
_clip_backward = torch.ops.aten.hardtanh_backward.default
_sigmoid_backward = torch.ops.aten.sigmoid_backward.default
_tanh_backward = torch.ops.aten.tanh_backward.default
# The first argument where the second exceeds the third, else 0.
_threshold = torch.ops.aten.threshold_backward.default


def clip(score: Tensor) -> Tensor:
    """`score` clipped to [0, 1]; keeps one byte for each entry, and none of the scores."""
    value: Tensor = _Clip.call(score)[0]
    return value


def hard_sigmoid(
    score: Tensor, low: float | Tensor, high: float | Tensor, temperature: float = 1.0
) -> Tensor:
    """`low + (high - low) sigmoid(score / temperature)`, clipped to [0, 1]."""
    value: Tensor = _HardSigmoid.call(score, low, high, temperature)
    return value


def gate_of_root(mean: Tensor, uniform: Tensor) -> Tensor:
    """`sqrt(mean)` where `uniform` is less than that, else 0; the comparison has no gradient."""
    value: Tensor = _GateOfRoot.call(mean, uniform)
    return value


def gate_of_root_sigmoid(logits: Tensor, uniform: Tensor) -> Tensor:
    """The same of `mean = sigmoid(logits)`."""
    value: Tensor = _GateOfRootSigmoid.call(logits, uniform)
    return value


def coupled_logistic(factor: Tensor, normal: Tensor) -> Tensor:
    """`special.logit_ndtr` of the products of a Cholesky factor and normal vectors.

    That function is for densities: its derivatives keep all digits, and twenty tensors.
    """
    value: Tensor = _CoupledLogistic.call(factor, normal)
    return value


class _Clip(Function):
    @staticmethod
    def forward(score: Tensor) -> tuple[Tensor, Tensor]:
        value = score.clamp(0, 1)
        # Where they differ. Each form takes a tenth of the time of the other, in its mode: not all
        # comparisons are vectorised on a CPU.
        if torch.compiler.is_compiling():
            return value, (value != score).to(score.dtype).to(torch.uint8)
        return value, (score - value).to(torch.bool).view(torch.uint8)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: tuple[Tensor, Tensor]) -> None:
        ctx.set_materialize_grads(False)
        ctx.mark_non_differentiable(output[1])
        ctx.save_for_backward(output[1])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> Tensor | None:
        (outside,) = ctx.saved_tensors
        gradient = gradients[0]
        if gradient is None:
            return None
        # Not a product: a gradient may be infinite at the ends, as that of a square root is at 0.
        outside = outside.to(gradient.dtype)
        if torch.compiler.is_compiling():
            # A comparison with a constant would be moved to the forward pass and kept, slowly.
            between = gradient.detach().clamp(0.25, 0.75)
            return torch.where(outside > between, 0.0, gradient)
        return _clip_backward(gradient, outside, -1.0, 1.0)


class _HardSigmoid(Function):
    @staticmethod
    def forward(
        score: Tensor, low: float | Tensor, high: float | Tensor, temperature: float
    ) -> Tensor:
        width, value = high - low, (score / temperature).sigmoid_()
        # A tensor may have more dimensions.
        value = value * width if isinstance(width, Tensor) else value.mul_(width)
        return value.add_(low).clamp(0, 1)

    @staticmethod
    def setup_context(
        ctx: Any, inputs: tuple[Tensor, float | Tensor, float | Tensor, float], output: Tensor
    ) -> None:
        *ends, ctx.temperature = inputs[1:]
        ctx.ends = tuple(None if isinstance(end, Tensor) else end for end in ends)
        ctx.save_for_backward(output, *(end for end in ends if isinstance(end, Tensor)))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        value, *tensors = ctx.saved_tensors
        low, high = (tensors.pop(0) if end is None else end for end in ctx.ends)
        width = high - low
        share = (value - low).div_(width)
        inside = _clip_backward(gradients[0], value, 0.0, 1.0)
        of_low = inside * (1 - share) if ctx.needs_input_grad[1] else None
        of_high = inside * share if ctx.needs_input_grad[2] else None
        slope = _sigmoid_backward(inside, share).mul_(width / ctx.temperature)
        return slope, of_low, of_high, None


class _GateOfRoot(Function):
    @staticmethod
    def forward(mean: Tensor, uniform: Tensor) -> Tensor:
        return _open(mean.sqrt(), uniform)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        mean, value = ctx.saved_tensors
        slope = (gradients[0] * value).div_(mean).mul_(0.5)
        return _threshold(slope, value, 0.0), None


class _GateOfRootSigmoid(Function):
    @staticmethod
    def forward(logits: Tensor, uniform: Tensor) -> Tensor:
        return _open(torch.sigmoid(logits).sqrt_(), uniform)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        slope = _tanh_backward(gradients[0], value).mul_(value).mul_(0.5)
        return _threshold(slope, value, 0.0), None  # of a closed gate 0, also times infinity


def _open(root: Tensor, uniform: Tensor) -> Tensor:
    return greater(root, uniform).mul_(root)


class _CoupledLogistic(Function):
    """Keeps what it is given: the backward pass multiplies it again."""

    @staticmethod
    def forward(factor: Tensor, normal: Tensor) -> Tensor:
        return normal_to_logistic(cholesky.product(factor, normal))

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor | None]:
        factor, normal = ctx.saved_tensors
        multiply: Any = cholesky.product
        primals = [factor, normal]
        if not ctx.needs_input_grad[1]:  # to spare a product
            multiply = functools.partial(multiply, vector=primals.pop())
        pulled: Any = torch.func.vjp(multiply, *primals)
        coupled, pull_back = pulled
        of_factor, *of_normal = pull_back(gradients[0] * slope_of_logistic(coupled))
        return of_factor, of_normal[0] if of_normal else None


def normal_to_logistic(x: Tensor) -> Tensor:
    """The log-odds of the standard normal distribution function, without gradient.

    The relative error is some ulps, around 0 the absolute one, as that of logistic noise.
    """
    size = x.abs()
    tail = _TAILS[x.dtype]
    squares = tail.squares_beyond(x)
    # P(X > x) = exp((end^2 - x^2) / 2) P(X > end) mills(x) / mills(end), for x > end.
    upper = tail.probability(size, math.sqrt(tail.scale(tail.end**2)))
    upper.mul_(tail.scale(squares).rsqrt_())
    return squares.sub_(tail.end**2).mul_(0.5).sub_(upper.logit_()).copysign_(x)


def slope_of_logistic(x: Tensor) -> Tensor:
    """Its derivative, with one of its own."""
    size = x.abs()
    tail = _TAILS[x.dtype]
    upper = tail.probability(size)
    density = torch.exp(-0.5 * size.clamp(max=tail.end).square()) / math.sqrt(2 * math.pi)
    slope = density / (upper * (1 - upper))
    growth = tail.inverse_mills(tail.squares_beyond(x)) / tail.inverse_mills(tail.end**2)
    return slope * growth


@dataclass(frozen=True)
class _Tail:
    """The upper tail of the standard normal law: up to `end` by `erfc`, then by a series.

    From there `mills(x)`, `P(X > x)` in units of the density at `x`, is `scale(x^2)^(-1/2)`.
    """

    end: float
    coefficients: tuple[float, ...]

    def probability(self, x: Tensor, times: float = 1.0) -> Tensor:
        """`P(X > min(x, end))`, which does not underflow."""
        return x.clamp(max=self.end).mul_(math.sqrt(0.5)).erfc_().mul_(0.5 * times)

    def squares_beyond(self, x: Tensor) -> Tensor:
        """`max(x, end)^2`, and no more than what the products below can hold."""
        return x.square().clamp(self.end**2, 1e10)

    def scale(self, square: Any) -> Any:
        """`mills(x)^-2` of `x^2`: that plus a polynomial in its reciprocal."""
        constant, *others = self.coefficients
        series = 0.0
        for coefficient in reversed(others):
            series = (series + coefficient) / square
        return square + (constant + series)

    def inverse_mills(self, square: Any) -> Any:
        """The logarithmic derivative of the tail, of `x^2`."""
        slope = 0.0
        for power, coefficient in reversed([*enumerate(self.coefficients)]):
            slope = (slope - power * coefficient) / square
        return square**0.5 * (1 + (1 + slope) / self.scale(square))


_TAILS = {
    # One term: the constant is exact at the end, and beyond it errs by an ulp of the logarithm.
    torch.float32: _Tail(12.0, (2 - 3 / 12**2,)),
    torch.float64: _Tail(36.0, (2.0, -3.0, 16.0, -124.0, 1224.0)),
}
