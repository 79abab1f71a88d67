"""Hard Concrete gates (Louizos, Welling, Kingma 2018)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit, logit

from relaxit_reference.distribution import BernoulliParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class HardConcrete(BernoulliParameters, ReferenceDistribution):
    """A Binary Concrete variable stretched to (low, high) and clipped to [0, 1].

    Example:
        >>> from relaxit_reference import HardConcrete
        >>> gate = HardConcrete(probs=0.5)
        >>> gate.cdf(0.0).round(4), gate.cdf(0.5).round(4)  # closed, and half closed
        (np.float64(0.1682), np.float64(0.5))
    """

    temperature: Numeric = 2 / 3
    probs: Numeric = None
    logits: Numeric = None
    low: Numeric = -0.1
    high: Numeric = 1.1

    def surrogate(self, noise: Numeric) -> Array:
        s = expit((self.log_odds + noise) / self.temperature)
        return np.asarray(np.clip((self.high - self.low) * s + self.low, 0, 1))

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0.5, 1.0, 0.0)

    def discrete_pmf(self, x: Numeric) -> Array:
        middle = self._unstretch(0.5)
        log_odds = self.log_odds - self.temperature * logit(middle)
        return np.where(np.asarray(x) == 1, expit(log_odds), expit(-log_odds))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        c = np.asarray(x, dtype=np.float64)
        at_0 = log_expit(self._logit_cdf(np.zeros(())))
        at_1 = log_expit(-self._logit_cdf(np.ones(())))
        s = self._unstretch(c)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = -self._logit_cdf(c)
            between = np.log(self.temperature) + t - 2 * np.logaddexp(0, t)
            between = between - np.log(s) - np.log1p(-s) - np.log(self.high - self.low)
        inside = np.where((c >= 0) & (c <= 1), between, -np.inf)
        return np.where(c == 0, at_0, np.where(c == 1, at_1, inside))

    def cdf(self, x: Numeric) -> Array:
        inside = expit(self._logit_cdf(np.clip(x, 0, 1)))
        return np.where(np.asarray(x) < 0, 0, np.where(np.asarray(x) >= 1, 1, inside))

    def ppf(self, q: Numeric) -> Array:
        return self.surrogate(logit(q))

    def _unstretch(self, c: Numeric) -> Array:
        return np.asarray((c - self.low) / (self.high - self.low))

    def _logit_cdf(self, c: Array) -> Array:
        """The logit of the CDF of the stretched variable before clipping."""
        return np.asarray(self.temperature * logit(self._unstretch(c)) - self.log_odds)
