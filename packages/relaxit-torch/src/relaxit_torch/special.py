"""Functions of one variable that torch lacks or gets wrong at the ends of their range."""

import math

import torch
from torch import Tensor

from relaxit_torch.parameters import Parameter


def log(parameter: Parameter) -> Parameter:
    """`log` of a number (a number) or of a tensor (a tensor)."""
    return parameter.log() if isinstance(parameter, Tensor) else math.log(parameter)


def log_interior(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`log(value)` for `value` in [0, 1], where 0 counts as the smallest number of `dtype`.

    The gradient is that of `log`, but zero where `1 / value` times a few further factors would
    overflow: infinity times the zero derivative of a saturated softmax would be NaN.
    """
    limits = torch.finfo(dtype)
    # Room for factors up to 1/eps above 1/value; in float16 the square root leaves more of (0, 1).
    floor = min(limits.tiny / limits.eps, math.sqrt(limits.tiny))
    held = torch.where(value < floor, value.detach(), value)
    # After the logarithm: the smallest number may count as 0 before it (flush to zero).
    return held.log().clamp(min=math.log(limits.tiny * limits.eps))


def below_one(value: Tensor, dtype: torch.dtype) -> Tensor:
    """`value` in [0, 1], where 1 counts as the largest number of `dtype` below it."""
    return value.clamp(max=1 - torch.finfo(dtype).eps / 2)


def log_softmax(scores: Tensor) -> Tensor:
    """`log_softmax` over the last dimension, accurate also for the entry that is nearly certain.

    `torch.log_softmax` loses that entry's logarithm when the others sum to less than an ulp of 1:
    it returns 0 for -1e-8. Here 1 is never added to that sum (`scipy.special.logsumexp`).
    """
    top = scores.argmax(-1, keepdim=True)
    shifted = scores - scores.gather(-1, top)
    others = shifted.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True)
    return shifted - others.log1p()


def normal_density(x: Tensor) -> Tensor:
    """The density of the standard normal law (`scipy.stats.norm.pdf`)."""
    return torch.exp(-0.5 * x.square()) / math.sqrt(2 * math.pi)


def log_ndtr(x: Tensor) -> Tensor:
    """The logarithm of the standard normal distribution function (`scipy.special.log_ndtr`).

    `torch.special.log_ndtr` has no batching rule for `torch.func.vmap`.
    """
    # Each branch sees only arguments at which it is finite, so that no gradient is NaN.
    left, right = x.clamp(max=-1), x.clamp(min=-1)
    tail = _log_ndtr_of_negative(-left)
    centre = torch.log1p(-torch.special.erfc(right * math.sqrt(0.5)) / 2)
    return torch.where(x < -1, tail, centre)


def logit_ndtr(x: Tensor) -> Tensor:
    """The log-odds of the standard normal distribution function: `log_ndtr(x) - log_ndtr(-x)`.

    Finite for every finite `x`, and precise around 0, where the two logarithms cancel.
    """
    a = x.abs()
    near, far = x.clamp(-1, 1), a.clamp(min=1)
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
    near, far = x.clamp(-2, 2), a.clamp(min=2)
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


def _log_ndtr_of_negative(a: Tensor) -> Tensor:
    """`log_ndtr(-a)` for `a >= 0`."""
    return torch.log(torch.special.erfcx(a * math.sqrt(0.5)) / 2) - 0.5 * a.square()
