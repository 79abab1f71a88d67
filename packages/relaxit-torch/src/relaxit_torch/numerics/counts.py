"""Probabilities of truncated counts."""

from __future__ import annotations

import math

import torch
from torch import Tensor


def log_prob_of_truncated_count(values: int, rate: Tensor, dispersion: float | Tensor) -> Tensor:
    """The log-probabilities of a truncated count, `(*batch, 1)` to `(*batch, values)`.

    The count is `min(X, values - 1)`. `X` is negative binomial, with the mean `rate` and the
    variance `rate + dispersion * rate**2`. In SciPy, `X` is
    `scipy.stats.nbinom(1 / dispersion, 1 / (1 + dispersion * rate))`, or `poisson(rate)` for the
    dispersion 0. The error is a few roundings, except for a last probability of at most 0.01. The
    relative error of this probability is 1e-13 for a dispersion of at most 1, 1e-10 for 3, 1e-8 for
    10 and 1e-3 for 100.
    """
    k = torch.arange(values, dtype=rate.dtype, device=rate.device)
    odds = rate / (1 + dispersion * rate)
    # P(X = k + 1) / P(X = k) = odds (1 + dispersion k) / (k + 1).
    growth = (torch.log1p(dispersion * k) - torch.log1p(k))[..., :-1].cumsum(-1)
    log_pmf = k * odds.log() - rate * _log1p_ratio(dispersion * rate)
    log_pmf = log_pmf + torch.nn.functional.pad(growth, (1, 0))
    head, last = log_pmf.split([values - 1, 1], -1)
    log_head = head.logsumexp(-1, keepdim=True)
    # A large tail is 1 minus the head. For a small tail this difference would have no digits. Each
    # branch gets only arguments at which it is finite.
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
    """`log(P(X >= first) / P(X = first))`, for the `X` of `log_prob_of_truncated_count`.

    Equal to the logarithm of
    `scipy.special.hyp2f1(1, first + 1 / dispersion, first + 1, dispersion * odds)` or, for the
    dispersion 0, of `hyp1f1(1, first + 1, odds)`.
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
"""The depth of the continued fraction, which sets the error of the last probability."""
