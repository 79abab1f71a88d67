"""Binary Concrete (Maddison, Mnih, Teh 2017, appendix B)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit, logit

from relaxit_reference.distribution import BernoulliParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric, nearest_interior


@dataclass(frozen=True, eq=False)
class BinaryConcrete(BernoulliParameters, ReferenceDistribution):
    """A Bernoulli variable relaxed to (0, 1).

    Example:
        >>> from relaxit_reference import BinaryConcrete
        >>> float(BinaryConcrete(temperature=1.0, probs=0.5).logpdf(0.3).round(12))  # uniform
        0.0
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None
    hard: bool = False

    def surrogate(self, noise: Numeric) -> Array:
        return np.asarray(expit((self.log_odds + noise) / self.temperature))

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0.5, 1.0, 0.0)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        if self.hard:
            log_pmf = np.where(
                np.asarray(x) == 1, log_expit(self.log_odds), log_expit(-self.log_odds)
            )
            return np.where(np.isin(x, (0, 1)), log_pmf, -np.inf)
        c = nearest_interior(x, dtype)
        with np.errstate(invalid="ignore", divide="ignore"):
            t = self.log_odds - self.temperature * logit(c)
            density = np.log(self.temperature) + t - 2 * np.logaddexp(0, t)
            density = density - np.log(c) - np.log1p(-c)
        return np.where((c > 0) & (c < 1), density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        if self.hard:
            return self.logpdf(self.relax(noise))
        # log p(noise) - log |dc / dnoise|, with dc / dnoise = c (1 - c) / temperature.
        y = (self.log_odds + noise) / self.temperature
        log_noise = log_expit(noise) + log_expit(np.negative(noise))
        log_derivative = log_expit(y) + log_expit(-y) - np.log(self.temperature)
        return np.asarray(log_noise - log_derivative)

    def cdf(self, x: Numeric) -> Array:
        if self.hard:
            raise NotImplementedError
        return np.asarray(expit(self.temperature * logit(np.clip(x, 0, 1)) - self.log_odds))

    def ppf(self, q: Numeric) -> Array:
        if self.hard:
            raise NotImplementedError
        return np.asarray(expit((self.log_odds + logit(q)) / self.temperature))

    def mean(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.over_batch(self.pi)

    def var(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.over_batch(expit(self.log_odds) * expit(-self.log_odds))

    def entropy(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        one, zero = self.log_odds, -self.log_odds
        return self.over_batch(-expit(one) * log_expit(one) - expit(zero) * log_expit(zero))
