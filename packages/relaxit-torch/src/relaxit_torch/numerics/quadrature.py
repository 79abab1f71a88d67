"""Integrals over one variable, to rounding, differentiable in the parameters of the integrand."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from relaxit_torch.numerics.normal import log_ndtr
from relaxit_torch.numerics.special import log1mexpexp


def log_bivariate_ndtr(x: Tensor, y: Tensor, correlation: Tensor) -> Tensor:
    """The logarithm of P(X <= x, Y <= y) for standard normal X, Y of a correlation in (-1, 1).

    Relative precision also where the probability underflows. Memory: 400 times the size of `x`.
    """
    smaller, larger = torch.minimum(x, y), torch.maximum(x, y)
    # Reflections avoid a sharp step of the conditional probability below. If x and y are positive,
    # the other three quadrants are subtracted from 1. If the correlation is negative and x + y > 0,
    # with x the smaller, P(X <= x, Y > y) is subtracted from P(X <= x).
    both = smaller > 0
    one = ~both & (correlation < 0) & (smaller + larger > 0)
    x = torch.where(both | one, -larger, smaller)
    y = torch.where(both, -smaller, torch.where(one, smaller, larger))
    correlation = torch.where(one, -correlation, correlation)
    # The integrand is the density of X = x - t times P(Y <= y | X). It has its peak at t = 0 and
    # falls off on a scale of any size. With t = exp(s), the scale does not matter to a trapezoidal
    # rule in s. The error of the rule is exp(-pi^2 / (2 step)) for a normal density.
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
    """Which of 0 and `n` normal variables is the largest: log-probabilities, `(*batch, n + 1)`.

    Entry `k` is the log-probability that variable `k` is positive and the largest. The last entry
    is the log-probability that no variable is positive. The variables are independent.

    Each probability is an integral over the real line. If the ratio of the scales is at most 10^3,
    its error is below 1e-12 in float64, and a few roundings in float32. For a ratio of 10^6 the
    error is below 1e-6. These bounds hold for any number of variables and any `loc`. A probability
    below the error is small and finite, but has no correct digit. Memory: 200 times the memory of
    `loc`.
    """
    nodes, log_weights = _nodes_of_largest(loc.detach(), scale.detach())
    x = (nodes - loc) / scale
    log_below = log_ndtr(x)
    log_density = -0.5 * x.square() - scale.log() - 0.5 * math.log(2 * math.pi)
    log_others = log_below.sum(-1, keepdim=True) - log_below
    largest = (log_density + log_others + log_weights).logsumexp(0)
    return torch.cat([largest, log_ndtr(-loc / scale).sum(-1, keepdim=True)], -1)


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
    # With u = exp(-exp(x)) the integrand is entire and log-concave. The peak is at
    # 0 <= x <= log(k + 1). To the left the integrand falls off at least as exp(x), to the right as
    # exp(-exp(x)). At a distance a < pi / 2 from the real line it is at most cos(a)^-(k + 1) times
    # as large. (The extreme case has small weights: a Gamma(k + 1) density.) So the relative error
    # of the trapezoidal rule is exp(-2 pi a / step) cos(a)^-(k + 1), for every a. The best a
    # determines the step.
    k = log_weights.shape[-1]
    digits = 2 - math.log(torch.finfo(log_weights.dtype).eps)
    angles = (0.1 * n for n in range(1, 16))
    step = max(2 * math.pi * a / (digits - (k + 1) * math.log(math.cos(a))) for a in angles)
    end = math.log(k + 1 + math.sqrt(2 * digits * (k + 1)) + digits)
    x = torch.arange(-digits, end, step, dtype=log_weights.dtype, device=log_weights.device)
    x = x.reshape(-1, *(1,) * (log_weights.dim() - 1))
    return log1mexpexp(log_weights + x.unsqueeze(-1)), x - x.exp() + math.log(step)
