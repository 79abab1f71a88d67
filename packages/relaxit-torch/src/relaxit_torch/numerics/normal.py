"""Functions of the normal distribution that torch lacks or gets wrong in the tails."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics import cholesky
from relaxit_torch.numerics.kernels import Kernel


def normal_density(x: Tensor) -> Tensor:
    """The density of the standard normal distribution (`scipy.stats.norm.pdf`)."""
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def normal_moments_between(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of order 0, 1 and 2 of the standard normal distribution, between `a` and `b` alone."""
    # Both tails at once keep their digits on the side where the mass between is small.
    mirrored = a > 0
    low, high = torch.where(mirrored, -b, a), torch.where(mirrored, -a, b)
    between = torch.special.ndtr(high) - torch.special.ndtr(low)
    at_a, at_b = normal_density(a), normal_density(b)
    return between, at_a - at_b, between + a * at_a - b * at_b


def log_ndtr(x: Tensor) -> Tensor:
    """The logarithm of the standard normal distribution function (`scipy.special.log_ndtr`).

    `torch.special.log_ndtr` has no batching rule for `torch.func.vmap`.
    """
    # Each branch sees only arguments at which it is finite, so that no gradient is NaN; chosen by
    # `where`, since `clamp` has no derivative at its bound.
    left, right = torch.where(x < -1, x, -1), torch.where(x < -1, 0, x)
    tail = _log_ndtr_of_negative(-left)
    centre = torch.log1p(-torch.special.erfc(right * math.sqrt(0.5)) / 2)
    return torch.where(x < -1, tail, centre)


def logit_ndtr(x: Tensor) -> Tensor:
    """The log-odds of the standard normal distribution function: `log_ndtr(x) - log_ndtr(-x)`.

    Finite for every finite `x`, and precise around 0, where the two logarithms cancel.
    """
    a = x.abs()
    near, far = torch.where(a < 1, x, 0), torch.where(a < 1, 1, a)
    centre = 2 * torch.atanh(torch.erf(near * math.sqrt(0.5)))
    log_tail = _log_ndtr_of_negative(far)
    tail = torch.log1p(-log_tail.exp()) - log_tail
    return torch.where(a < 1, centre, tail.copysign(x))


def ndtri_exp(y: Tensor) -> Tensor:
    """The inverse of `log_ndtr`, for `y <= 0` (`scipy.special.ndtri_exp`).

    Has two derivatives, in every mode of differentiation.
    """
    # Both tails by the lower one: log(1 - exp(y)) is precise where exp(y) > 1/2.
    upper = y > -math.log(2)
    lower = torch.where(upper, torch.log(-torch.expm1(y)), y)
    x = _ndtri_exp_of_lower(lower.detach())
    # The solution has no graph. Its derivative is the ratio of distribution function and density,
    # the second is here too: the residual is 0 up to rounding, and carries the gradient.
    residual = torch.where(x == -torch.inf, 0, lower - log_ndtr(x))
    ratio = math.sqrt(math.pi / 2) * torch.special.erfcx(x * -math.sqrt(0.5))
    step = ratio * residual * (1 + 0.5 * (1 + x * ratio) * residual)
    x = x + torch.where(x == -torch.inf, 0, step)
    return torch.where(upper, -x, x)


def _ndtri_exp_of_lower(y: Tensor) -> Tensor:
    """`ndtri_exp` of `y <= -log 2`, without the last step."""
    central = torch.special.ndtri(y.clamp(min=-5).exp())
    # Abramowitz, Stegun 26.2.12: log_ndtr(x) ~ -x^2 / 2 - log(2 pi x^2) / 2.
    square = -2 * y.clamp(max=-5) - math.log(2 * math.pi)
    x = torch.where(y > -5, central, -torch.sqrt(square - square.log()))
    # Newton steps: log_ndtr is concave, and from within 0.01 each doubles the digits.
    for _ in range(2):
        ratio = math.sqrt(math.pi / 2) * torch.special.erfcx(x * -math.sqrt(0.5))
        x = x - (log_ndtr(x) - y) * ratio
    return torch.where(y == -torch.inf, -torch.inf, x)


def ndtri_expit(x: Tensor) -> Tensor:
    """The inverse of `logit_ndtr`: the standard normal quantile of the probability `sigmoid(x)`."""
    a = x.abs()
    near, far = torch.where(a < 2, x, 0), torch.where(a < 2, 2, a)
    centre = math.sqrt(2) * torch.erfinv(torch.tanh(near / 2))
    tail = -ndtri_exp(torch.nn.functional.logsigmoid(-far))
    return torch.where(a < 2, centre, tail.copysign(x))


def _log_ndtr_of_negative(a: Tensor) -> Tensor:
    """`log_ndtr(-a)` for `a >= 0`."""
    return torch.log(torch.special.erfcx(a * math.sqrt(0.5)) / 2) - 0.5 * a.square()


class CoupledLogistic(Kernel):
    """`logit_ndtr` of the products of a Cholesky factor and normal vectors.

    Keeps what it is given: the backward pass multiplies it again. The twin keeps twenty tensors.
    """

    @staticmethod
    def plain(factor: Tensor, normal: Tensor) -> Tensor:
        return logit_ndtr(cholesky.product(factor, normal))

    @staticmethod
    def forward(ctx: Any, factor: Tensor, normal: Tensor) -> Tensor:
        ctx.save_for_backward(factor, normal)
        return normal_to_logistic(cholesky.product(factor, normal))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        inputs = ctx.saved_tensors
        second = torch.is_grad_enabled()  # for a second derivative
        wanted = [x for x, needed in zip(inputs, ctx.needs_input_grad, strict=True) if needed]
        with torch.enable_grad():
            if second:
                output, gradient = CoupledLogistic.plain(*inputs), gradients[0]
            else:
                output = cholesky.product(*inputs)
                gradient = gradients[0] * slope_of_logistic(output.detach())
        found = iter(torch.autograd.grad(output, wanted, gradient, create_graph=second))
        return tuple(next(found) if needed else None for needed in ctx.needs_input_grad)


coupled_logistic = CoupledLogistic.call


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
    """The derivative of `normal_to_logistic`, without gradient."""
    size = x.abs() * math.sqrt(0.5)
    ratio = torch.special.erfcx(size)  # P(X > |x|) in units of exp(-x^2 / 2) / 2
    upper = 0.5 * ratio * torch.exp(-size.square())
    return math.sqrt(2 / math.pi) / (ratio * (1 - upper))


@dataclass(frozen=True)
class _Tail:
    """The upper tail of the standard normal distribution: up to `end` by `erfc`, then by a series.

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


_TAILS = {
    # One term: the constant is exact at the end, and beyond it errs by an ulp of the logarithm.
    torch.float32: _Tail(12.0, (2 - 3 / 12**2,)),
    torch.float64: _Tail(36.0, (2.0, -3.0, 16.0, -124.0, 1224.0)),
}
