"""Functions of one variable that torch lacks or gets wrong at the ends of their range."""

import math
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics.autograd import Function
from relaxit_torch.numerics.top_k import argmax


def log(parameter: float | Tensor) -> float | Tensor:
    """`log` of a number (a number) or of a tensor (a tensor)."""
    return parameter.log() if isinstance(parameter, Tensor) else math.log(parameter)


def log_interior(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`log(value)` for `value` in [0, 1], where 0 counts as the smallest number of `dtype`.

    The gradient is that of `log`, but zero where `1 / value` times a factor of up to `1 / eps`
    would overflow: infinity times the zero derivative of a saturated softmax would be NaN.
    """
    limits, worked = torch.finfo(dtype), torch.finfo(value.dtype)
    smallest = limits.tiny * limits.eps
    slope_from = max(smallest, worked.tiny / worked.eps)
    logarithm: Tensor = _LogInterior.call(value, math.log(smallest), slope_from)
    return logarithm


class _LogInterior(Function):
    @staticmethod
    def forward(value: Tensor, least: float, slope_from: float) -> Tensor:
        # After the logarithm: the smallest number may count as 0 before it (flush to zero).
        return value.log().clamp(min=least)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float, float], output: Tensor) -> None:
        ctx.slope_from = inputs[2]
        ctx.save_for_backward(inputs[0])

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        (value,) = ctx.saved_tensors
        held = torch.ops.aten.threshold_backward.default(gradients[0], value, ctx.slope_from)
        return held / value.clamp(min=ctx.slope_from), None, None

    @classmethod
    def elsewhere(cls, value: Tensor, least: float, slope_from: float) -> Tensor:
        held = torch.where(value <= slope_from, value.detach(), value)
        return held.log().clamp(min=least)


def below_one(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`value` in [0, 1], where 1 counts as the largest number of `dtype` below it."""
    return torch.where(value < 1, value, 1 - torch.finfo(dtype).eps / 2)


def log_logistic_density(x: Tensor) -> Tensor:
    """The log density of the standard logistic law (`scipy.stats.logistic.logpdf`).

    It is `logsigmoid(x) + logsigmoid(-x)`, and -inf at both ends.
    """
    density: Tensor = _LogLogisticDensity.call(x)
    return density


class _LogLogisticDensity(Function):
    @staticmethod
    def forward(x: Tensor) -> Tensor:
        size = x.abs()  # so that both terms have one sign, also at the ends
        return (-size).exp_().log1p_().mul_(-2).sub_(size)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor], output: Tensor) -> None:
        ctx.save_for_backward(*inputs)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return torch.tanh(ctx.saved_tensors[0] * -0.5) * gradients[0]

    @classmethod
    def elsewhere(cls, x: Tensor) -> Tensor:
        # Of the absolute value the second derivative would be lost at 0. One logsigmoid is enough,
        # as their difference is x; at -inf that is held finite: -inf + inf would be NaN.
        least = torch.finfo(x.dtype).min
        difference = torch.nn.functional.threshold(x, least, least)
        return 2 * torch.nn.functional.logsigmoid(x) - difference


def log_softmax(scores: Tensor) -> Tensor:
    """`log_softmax` over the last dimension, accurate also for the entry that is nearly certain.

    `torch.log_softmax` loses that entry's logarithm when the others sum to less than an ulp of 1:
    it returns 0 for -1e-8. Here 1 is never added to that sum (`scipy.special.logsumexp`).
    """
    top = argmax(scores)
    shifted = scores - scores.gather(-1, top)
    others = shifted.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return shifted - others.log1p()


def complement_of_shares(shares: Tensor) -> Tensor:
    """`1 - shares` over the last dimension, precise also for a share that is nearly 1.

    The sum of all shares is 1, so that the complement of the largest is the sum of the others.
    """
    top = argmax(shares)
    others = shares.scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return (1 - shares).scatter(-1, top, others)


def log_gamma_entropy(a: Tensor) -> Tensor:
    """The entropy of the logarithm of a Gamma(a) variable: `lgamma(a) - a psi(a) + a`.

    Precise also for a large `a`, where it is that of a normal variable of variance `1 / a` and the
    three terms cancel (`scipy.stats.loggamma.entropy`).
    """
    near, far = torch.where(a < 10, a, 1), torch.where(a < 10, 10, a)
    direct = torch.lgamma(near) - near * torch.digamma(near) + near
    # Stirling's series: B_2n / ((2n - 1) a^(2n - 1)), up to the term below an ulp at a = 10.
    coefficients = (1 / 6, -1 / 90, 1 / 210, -1 / 210, 5 / 594, -691 / 30_030, 7 / 78)
    inverse = far.reciprocal()
    square, series = inverse.square(), coefficients[-1] * inverse
    for coefficient in reversed(coefficients[:-1]):
        series = series * square + coefficient * inverse
    normal = 0.5 * (math.log(2 * math.pi) + 1 - far.log())
    return torch.where(a < 10, direct, normal + series)


def log1mexpexp(x: Tensor) -> Tensor:
    """`log(1 - exp(-exp(x)))`: the logarithm of the inverse of the complementary log-log link.

    Precise on both sides: it approaches `x` far to the left, and 0 to the right.
    """
    # Each branch sees only arguments at which it is finite, so that no gradient is NaN. At the ends
    # of the clamps it has reached its limit: exp(-40) and exp(-exp(4)) are less than an ulp of 1.
    negative, positive = torch.where(x < 0, x, -1), torch.where(x < 0, 1, x)
    low, high = negative.clamp(min=-40).exp(), positive.clamp(max=4).exp()
    left = negative + torch.log(-torch.expm1(-low) / low)
    return torch.where(x < 0, left, torch.log1p(-torch.exp(-high)))


def log_prob_of_truncated_count(values: int, rate: Tensor, dispersion: float | Tensor) -> Tensor:
    """The log-probabilities of `min(X, values - 1)`, of a negative binomial count `X` of mean
    `rate` and variance `rate + dispersion * rate**2`: `(*batch, 1)` to `(*batch, values)`.

    `scipy.stats.nbinom(1 / dispersion, 1 / (1 + dispersion * rate))`, and `poisson(rate)` at 0. The
    error is some roundings, but for a last probability of at most 0.01: 1e-13 for a dispersion of
    at most 1, 1e-10 at 3, 1e-8 at 10 and 1e-3 at 100, relative to that probability.
    """
    k = torch.arange(values, dtype=rate.dtype, device=rate.device)
    odds = rate / (1 + dispersion * rate)
    # P(X = k + 1) / P(X = k) = odds (1 + dispersion k) / (k + 1).
    growth = (torch.log1p(dispersion * k) - torch.log1p(k))[..., :-1].cumsum(-1)
    log_pmf = k * odds.log() - rate * _log1p_ratio(dispersion * rate)
    log_pmf = log_pmf + torch.nn.functional.pad(growth, (1, 0))
    head, last = log_pmf.split([values - 1, 1], -1)
    log_head = head.logsumexp(-1, keepdim=True)
    # A large tail is what the head leaves; of a small one its rounding would leave no digits. Each
    # branch sees only arguments that it can bear.
    large = log_head < math.log(0.99)
    rest = torch.log(-torch.expm1(torch.where(large, log_head, -1)))
    terms = last + _log_sum_of_tail(values - 1, torch.where(large, 0, odds), dispersion)
    return torch.cat([head, torch.where(large, rest, terms)], -1)


def _log1p_ratio(x: Tensor) -> Tensor:
    """`log(1 + x) / x` for `x >= 0`, which is 1 at 0, with its derivatives."""
    near, far = torch.where(x < 1e-3, x, 0), torch.where(x < 1e-3, 1, x)
    # Up to the term below an ulp.
    series = 1 - near * (1 / 2 - near * (1 / 3 - near * (1 / 4 - near * (1 / 5 - near / 6))))
    return torch.where(x < 1e-3, series, torch.log1p(far) / far)


def _log_sum_of_tail(first: int, odds: Tensor, dispersion: float | Tensor) -> Tensor:
    """`log(P(X >= first) / P(X = first))` of the count above: the logarithm of
    `scipy.special.hyp2f1(1, first + 1 / dispersion, first + 1, dispersion * odds)`, at 0 of
    `hyp1f1(1, first + 1, odds)`.
    """
    # The continued fraction of Gauss (DLMF, section 15.7), from its end.
    first = max(first, 1)
    level = torch.arange(1.0, _LEVELS + 1, dtype=odds.dtype, device=odds.device)
    i = (level / 2).floor()
    odd = -(first + i) * (dispersion * odds * (first + i) + odds)
    even = i * (odds - dispersion * odds * i)
    parts = torch.where(level % 2 == 1, odd, even) / ((first + level - 1) * (first + level))
    fraction = torch.ones_like(odds)
    for part in reversed(parts.split(1, -1)):
        fraction = 1 + part / fraction
    return -fraction.log()


_LEVELS = 32
"""Of the fraction, whose number decides the error above."""


def normal_density(x: Tensor) -> Tensor:
    """The density of the standard normal law (`scipy.stats.norm.pdf`)."""
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def normal_moments_between(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Of order 0, 1 and 2 of the standard normal law, between `a` and `b` alone."""
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


def log_bivariate_ndtr(x: Tensor, y: Tensor, correlation: Tensor) -> Tensor:
    """The logarithm of P(X <= x, Y <= y) for standard normal X, Y of a correlation in (-1, 1).

    Relative precision also where the probability underflows. Memory: 400 times that of `x`.
    """
    smaller, larger = torch.minimum(x, y), torch.maximum(x, y)
    # Reflections bring X and Y to where the conditional probability below has no sharp step: both
    # positive, the other three quadrants are subtracted from 1; for a negative correlation and
    # x + y > 0, the part with Y > y is subtracted from that with X <= x.
    both = smaller > 0
    one = ~both & (correlation < 0) & (smaller + larger > 0)
    x = torch.where(both | one, -larger, smaller)
    y = torch.where(both, -smaller, torch.where(one, smaller, larger))
    correlation = torch.where(one, -correlation, correlation)
    # The integral over X = x - t of its density times P(Y <= y | X) has its peak at t = 0 and falls
    # off on a scale that may be of any size: with t = exp(s) that does not matter to a trapezoidal
    # rule in s, whose error is exp(-pi^2 / (2 step)) for a normal density.
    step = 0.125
    s = torch.arange(-46.0, 3.0, step, dtype=x.dtype, device=x.device).reshape(-1, *(1,) * x.dim())
    at = x - s.exp()
    rest = torch.sqrt((1 - correlation) * (1 + correlation))
    log_density = -0.5 * at.square() - 0.5 * math.log(2 * math.pi)
    terms = log_density + log_ndtr((y - correlation * at) / rest) + s
    log_part = terms.logsumexp(0) + math.log(step)
    # log(P - part) where a part is subtracted, and log(part) elsewhere.
    log_x, log_y = log_ndtr(x), log_ndtr(y)
    outside = torch.where(both, log_x.exp() + log_y.exp() - log_part.exp(), 0)
    share = torch.where(one, torch.exp(log_part - log_y), 0)
    reflected = torch.where(both, torch.log1p(-outside), log_y + torch.log1p(-share))
    return torch.where(both | one, reflected, log_part)


def log_prob_of_greatest(loc: Tensor, scale: Tensor) -> Tensor:
    """The log-probabilities that each of independent normal variables is the greatest of all and
    positive, and at last that none is positive: `(*batch, n)` to `(*batch, n + 1)`.

    An integral over the real line for each variable. The error of a probability is below 1e-12 in
    float64 (some roundings in float32) for any number of variables, any `loc`, and scales whose
    ratio is at most 10^3; it is below 1e-6 for a ratio of 10^6. A probability below that error is
    small and finite, and no more is known of it. Memory: 200 times that of `loc`.
    """
    nodes, log_weights = _quadrature_of_greatest(loc.detach(), scale.detach())
    x = (nodes - loc) / scale
    log_below = log_ndtr(x)
    log_density = -0.5 * x.square() - scale.log() - 0.5 * math.log(2 * math.pi)
    log_others = log_below.sum(-1, keepdim=True) - log_below
    greatest = (log_density + log_others + log_weights).logsumexp(0)
    return torch.cat([greatest, log_ndtr(-loc / scale).sum(-1, keepdim=True)], -1)


def _quadrature_of_greatest(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Places in the positive numbers, and logarithms of their weights, `(nodes, *batch, 1)`."""
    # Where the product of all distribution functions falls below exp(-40): its logarithm is
    # concave, so that Newton's method comes near that place from below and never passes it.
    low = (loc - 9 * scale).amax(-1, keepdim=True)
    for _ in range(8):
        x = (low - loc) / scale
        log_below = log_ndtr(x)
        slope = torch.exp(-0.5 * x.square() - log_below) / (math.sqrt(2 * math.pi) * scale)
        missing = (-40 - log_below.sum(-1, keepdim=True)).clamp(min=0)
        low = low + missing / slope.sum(-1, keepdim=True)
    low = low.clamp(min=0)
    # Every variable that matters has its mean less than 9 deviations above `low`. So at a distance
    # t from there nothing changes on a scale below t / 18: in log t one step fits all scales.
    high = (loc + 9 * scale).amax(-1, keepdim=True)
    width = torch.maximum(high - low, scale.amax(-1, keepdim=True))
    # Below the smallest scale t goes to 0 twice exponentially (Takahasi, Mori 1974).
    depth = (width / scale.amin(-1, keepdim=True)).log() + 1
    nodes = 200
    step = (depth + 3.6) / nodes
    s = -step * torch.arange(nodes + 1, dtype=loc.dtype, device=loc.device).reshape(
        -1, *(1,) * loc.dim()
    )
    tail = torch.exp(-(s + depth))
    log_t = s - tail + width.log()
    return low + log_t.exp(), log_t + tail.log1p() + step.log()


def _log_ndtr_of_negative(a: Tensor) -> Tensor:
    """`log_ndtr(-a)` for `a >= 0`."""
    return torch.log(torch.special.erfcx(a * math.sqrt(0.5)) / 2) - 0.5 * a.square()
