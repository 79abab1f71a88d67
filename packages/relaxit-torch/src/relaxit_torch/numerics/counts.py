"""Probabilities of truncated counts."""

from __future__ import annotations

import math

import torch
from torch import Tensor


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
