"""Hand-written kernels: maps that take less time, or keep fewer bytes, than autograd's own.

The plain twin of a kernel is its definition, a few torch operations. Tests compare the two, and
`nox -s bench -- -k kernels` shows what each kernel gains. Only plain eager code runs a kernel:
all other modes of torch know the operations of the twin.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.nn.functional import logsigmoid, threshold

# torch's fused backward kernels: on a CPU, a comparison and a `where` take ten times as long.
_clip_backward = torch.ops.aten.hardtanh_backward.default
_sigmoid_backward = torch.ops.aten.sigmoid_backward.default
_softmax_backward = torch.ops.aten._softmax_backward_data.default
_tanh_backward = torch.ops.aten.tanh_backward.default
# The first argument where the second exceeds the third, else 0.
_threshold_backward = torch.ops.aten.threshold_backward.default


class Shortcut:
    """A fast way to compute something, `apply`, and its definition, `plain`."""

    apply: ClassVar[Callable[..., Any]]

    @staticmethod
    def plain(*inputs: Any) -> Any:
        """The definition, in operations that every mode of torch knows."""
        raise NotImplementedError

    @classmethod
    def call(cls, *inputs: Any) -> Any:
        """The output for `inputs`: by `apply` in plain eager code, by `plain` in all other modes.

        Other modes are `torch.compile` and `torch.export`, the transforms of `torch.func`, forward
        mode, `torch.jit` tracing, and tensors that are traced or made functional.
        """
        other_mode = (
            torch.compiler.is_compiling()
            or torch._C._are_functorch_transforms_active()
            or forward_ad._current_level >= 0
            or torch._C._is_tracing()
            or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.PROXY) is not None
            or torch._C._get_dispatch_mode(torch._C._TorchDispatchModeKey.FUNCTIONAL) is not None
        )
        return cls.plain(*inputs) if other_mode else cls.apply(*inputs)


class Kernel(Shortcut, torch.autograd.Function):
    """A shortcut with a backward pass of its own.

    A docstring says what the kernel returns, and what it keeps for the backward pass. `backward` is
    made of torch operations, so that there is a second derivative.
    """


# -- without a gradient ---------------------------------------------------------------------------


class Greater(Shortcut):
    """1 where `x > y`, else 0, in the dtype of `x`."""

    @staticmethod
    def plain(x: Tensor, y: Tensor | float) -> Tensor:
        return (x > y).to(x.dtype)

    @staticmethod
    def apply(x: Tensor, y: Tensor | float) -> Tensor:
        return torch.gt(x, y, out=x.new_empty(0))  # one kernel, and no conversion


def argmax(values: Tensor, dim: int = -1) -> Tensor:
    """The index of the largest entry, the first of equal ones; keeps the dimension."""
    return values.detach().max(dim, keepdim=True).indices  # torch.argmax takes twice the time


def hardmax(values: Tensor, dim: int = -1) -> Tensor:
    """The one-hot vector of the largest entry, the first of equal ones, without gradient."""
    zeros = values.new_zeros(()).expand_as(values)  # `scatter` copies what it is given
    return zeros.scatter(dim, argmax(values, dim), 1.0)


# -- straight-through: hard forward, relaxed backward ---------------------------------------------


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Returns `hard` exactly, with the gradient of `soft` (Bengio et al. 2013, section 2).

    `hard` is 0 or 1 and `soft` in [0, 1], elementwise. The order of the operations matters:
    `soft + (hard - soft)` rounds to exactly 0 or 1 in every dtype, `hard + soft - soft` does not.
    """
    return soft + (hard - soft.detach())


class Bernoulli(Kernel):
    """1 where `uniform` is less than `probs`, else 0, with the gradient of `probs`."""

    @staticmethod
    def plain(probs: Tensor, uniform: Tensor) -> Tensor:
        return straight_through((probs.detach() > uniform).to(probs.dtype), probs)

    @staticmethod
    def forward(ctx: Any, probs: Tensor, uniform: Tensor) -> Tensor:
        return Greater.apply(probs, uniform)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0], None


class Positive(Kernel):
    """1 where `score` is positive, else 0, with the gradient of `sigmoid(score)`.

    The sign decides, not the sigmoid, which rounds to 1/2 around 0. Keeps the score.
    """

    @staticmethod
    def plain(score: Tensor) -> Tensor:
        return straight_through((score.detach() > 0).to(score.dtype), torch.sigmoid(score))

    @staticmethod
    def forward(ctx: Any, score: Tensor) -> Tensor:
        ctx.save_for_backward(score)
        return Greater.apply(score, 0.0)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        slope: Tensor = _sigmoid_backward(gradients[0], torch.sigmoid(ctx.saved_tensors[0]))
        return slope


class OneHot(Kernel):
    """The argmax of `score` along `dim` as a one-hot vector, with the gradient of its softmax.

    The scores decide, not the softmax, which rounds small differences to ties. Keeps the scores.
    """

    @staticmethod
    def plain(score: Tensor, dim: int) -> Tensor:
        return straight_through(hardmax(score, dim), torch.softmax(score, dim))

    @staticmethod
    def forward(ctx: Any, score: Tensor, dim: int) -> Tensor:
        ctx.save_for_backward(score)
        ctx.dim = dim
        return hardmax(score, dim)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        soft = torch.softmax(ctx.saved_tensors[0], ctx.dim)
        return _softmax_backward(gradients[0], soft, ctx.dim, soft.dtype), None


# -- gates ----------------------------------------------------------------------------------------


class Clip(Kernel):
    """`score` clipped to [0, 1]. Keeps one byte for each entry, and no score."""

    @staticmethod
    def plain(score: Tensor) -> Tensor:
        return score.clamp(0, 1)

    @staticmethod
    def forward(ctx: Any, score: Tensor) -> Tensor:
        value = score.clamp(0, 1)
        # A difference, as not all comparisons are vectorised on a CPU.
        ctx.save_for_backward((score - value).to(torch.bool))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        outside = ctx.saved_tensors[0].to(gradients[0].dtype)
        # No product: a gradient may be infinite at the ends, as a square root's is at 0.
        slope: Tensor = _clip_backward(gradients[0], outside, -1.0, 1.0)
        return slope


class HardSigmoid(Kernel):
    """`low + (high - low) sigmoid(score / temperature)`, clipped to [0, 1]. Keeps the value.

    `low` and `high` are numbers or tensors, `temperature` is a number.
    """

    @staticmethod
    def plain(score: Tensor, low: Any, high: Any, temperature: float) -> Tensor:
        return (torch.sigmoid(score / temperature) * (high - low) + low).clamp(0, 1)

    @staticmethod
    def forward(ctx: Any, score: Tensor, low: Any, high: Any, temperature: float) -> Tensor:
        value = (score / temperature).sigmoid_().mul_(high - low).add_(low).clamp_(0, 1)
        ends = [end for end in (low, high) if isinstance(end, Tensor)]
        ctx.save_for_backward(value, *ends)
        ctx.low, ctx.high = (None if isinstance(end, Tensor) else end for end in (low, high))
        ctx.temperature = temperature
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        value, *ends = ctx.saved_tensors
        low = ends.pop(0) if ctx.low is None else ctx.low
        high = ends.pop(0) if ctx.high is None else ctx.high
        share = (value - low).div_(high - low)
        inside = _clip_backward(gradients[0], value, 0.0, 1.0)
        of_low = inside * (1 - share) if ctx.needs_input_grad[1] else None
        of_high = inside * share if ctx.needs_input_grad[2] else None
        slope = _sigmoid_backward(inside, share).mul_((high - low) / ctx.temperature)
        return slope, of_low, of_high, None


class RootGate(Kernel):
    """`sqrt(mean)` where `uniform` is less, else 0. Keeps the value, and a mean that is given.

    `parameter` is the mean or, with `of_logits`, its log-odds. The comparison has no gradient.
    """

    @staticmethod
    def plain(parameter: Tensor, uniform: Tensor, of_logits: bool) -> Tensor:
        root = (torch.sigmoid(parameter) if of_logits else parameter).sqrt()
        return torch.where(root > uniform, root, 0)

    @staticmethod
    def forward(ctx: Any, parameter: Tensor, uniform: Tensor, of_logits: bool) -> Tensor:
        root = torch.sigmoid(parameter).sqrt_() if of_logits else parameter.sqrt()
        value = Greater.apply(root, uniform).mul_(root)
        ctx.save_for_backward(value, *(() if of_logits else (parameter,)))
        return value

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        value, *mean = ctx.saved_tensors
        if mean:
            slope = (gradients[0] * value).div_(mean[0]).mul_(0.5)
        else:
            slope = _tanh_backward(gradients[0], value).mul_(value).mul_(0.5)
        # 0 for a closed gate, whatever arrives.
        return _threshold_backward(slope, value, 0.0), None, None


# -- densities ------------------------------------------------------------------------------------


def _edge(worked: torch.dtype, stored: torch.dtype) -> tuple[float, float]:
    """The logarithm of the smallest number of `stored`, and from where on 1 / value is moderate."""
    limits, working = torch.finfo(stored), torch.finfo(worked)
    smallest = limits.tiny * limits.eps
    return math.log(smallest), max(smallest, working.tiny / working.eps)


_FLOATS = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_EDGES = {(worked, stored): _edge(worked, stored) for worked in _FLOATS for stored in _FLOATS}


class LogInterior(Kernel):
    """`log(value)` for `value` in [0, 1], where 0 counts as the smallest number of `dtype`.

    The gradient is 0 where `1 / value` times a factor of up to `1 / eps` would overflow: infinity
    times the zero derivative of a saturated softmax would be NaN. Keeps the value.
    """

    @staticmethod
    def plain(value: Tensor, dtype: torch.dtype) -> Tensor:
        least, slope_from = _EDGES[value.dtype, dtype]
        held = torch.where(value <= slope_from, value.detach(), value)
        # After the logarithm: the smallest number may count as 0 before it (flush to zero).
        return held.log().clamp(min=least)

    @staticmethod
    def forward(ctx: Any, value: Tensor, dtype: torch.dtype) -> Tensor:
        ctx.save_for_backward(value)
        least, ctx.slope_from = _EDGES[value.dtype, dtype]
        return value.log().clamp_(min=least)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (value,) = ctx.saved_tensors
        held = _threshold_backward(gradients[0], value, ctx.slope_from)
        return held / value.clamp(min=ctx.slope_from), None


class LogLogisticDensity(Kernel):
    """The log density of the standard logistic distribution (`scipy.stats.logistic.logpdf`).

    Equal to `logsigmoid(x) + logsigmoid(-x)`, and -inf at both ends. Keeps `x`.
    """

    @staticmethod
    def plain(x: Tensor) -> Tensor:
        # One logsigmoid is enough, as the other one differs by x. At -inf that difference is held
        # finite: -inf + inf would be NaN.
        least = torch.finfo(x.dtype).min
        return 2 * logsigmoid(x) - threshold(x, least, least)

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(x)
        size = x.abs()  # so that both terms have one sign, also at the ends
        return (-size).exp_().log1p_().mul_(-2).sub_(size)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.tanh(ctx.saved_tensors[0] * -0.5) * gradients[0]


class Widened(Kernel):
    """float16 as float32. A gradient beyond the range of float16 becomes its largest number.

    Infinity in its place is NaN as soon as the zero derivative of a saturated softmax meets it.
    This kernel exists for that range, not for speed: the gradient of its twin may be infinite.
    """

    @staticmethod
    def plain(value: Tensor) -> Tensor:
        return value.float()

    @staticmethod
    def forward(ctx: Any, value: Tensor) -> Tensor:
        return value.float()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        largest = torch.finfo(torch.float16).max
        return gradients[0].clamp(-largest, largest).half()


greater = Greater.call
bernoulli = Bernoulli.call
positive = Positive.call
one_hot = OneHot.call
clip = Clip.call
hard_sigmoid = HardSigmoid.call
root_gate = RootGate.call
log_interior = LogInterior.call
log_logistic_density = LogLogisticDensity.call
widened = Widened.call
