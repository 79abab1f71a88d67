"""Integrals over one variable, to rounding, differentiable in the parameters of the integrand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from relaxit_torch.numerics.normal import log_ndtr
from relaxit_torch.numerics.special import log1mexpexp


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


def log_prob_of_largest(loc: Tensor, scale: Tensor) -> Tensor:
    """The log-probabilities that each of independent normal variables is the largest of all and
    positive, and at last that none is positive: `(*batch, n)` to `(*batch, n + 1)`.

    An integral over the real line for each variable. The error of a probability is below 1e-12 in
    float64 (some roundings in float32) for any number of variables, any `loc`, and scales whose
    ratio is at most 10^3; it is below 1e-6 for a ratio of 10^6. A probability below that error is
    small and finite, and no more is known of it. Memory: 200 times that of `loc`.
    """
    nodes, log_weights = _nodes_of_largest(loc.detach(), scale.detach())
    x = (nodes - loc) / scale
    log_below = log_ndtr(x)
    log_density = -0.5 * x.square() - scale.log() - 0.5 * math.log(2 * math.pi)
    log_others = log_below.sum(-1, keepdim=True) - log_below
    greatest = (log_density + log_others + log_weights).logsumexp(0)
    return torch.cat([greatest, log_ndtr(-loc / scale).sum(-1, keepdim=True)], -1)


def _nodes_of_largest(loc: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
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


def log_product_integral(log_weights: Tensor) -> Tensor:
    """`log int_0^1 prod_i (1 - u^w_i) du` over the weights of the last dimension."""
    log_factors, log_measure = product_integrand(log_weights)
    return (log_factors.sum(-1) + log_measure).logsumexp(0).clamp(max=0)


def product_integrand(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    """The factors of that integral at the nodes of a quadrature, and the weights of the nodes.

    Both in logarithms, of shapes `(nodes, *batch, k)` and `(nodes, *ones)`. The nodes serve also
    for the integral without some of the factors.
    """
    # With u = exp(-exp(x)) the integrand is entire and log-concave, has its peak at 0 <= x <=
    # log(k + 1) and falls off to the left at least as exp(x), to the right as exp(-exp(x)). At a
    # distance a < pi / 2 from the real line it is at most cos(a)^-(k + 1) times as large (as where
    # all weights are small: a Gamma(k + 1)), so that the trapezoidal rule has a relative error of
    # exp(-2 pi a / step) cos(a)^-(k + 1), whichever a makes it smallest.
    k = log_weights.shape[-1]
    digits = 2 - math.log(torch.finfo(log_weights.dtype).eps)
    angles = (0.1 * n for n in range(1, 16))
    step = max(2 * math.pi * a / (digits - (k + 1) * math.log(math.cos(a))) for a in angles)
    end = math.log(k + 1 + math.sqrt(2 * digits * (k + 1)) + digits)
    x = torch.arange(-digits, end, step, dtype=log_weights.dtype, device=log_weights.device)
    x = x.reshape(-1, *(1,) * (log_weights.dim() - 1))
    return log1mexpexp(log_weights + x.unsqueeze(-1)), x - x.exp() + math.log(step)
