"""Binary Concrete in logit space (Maddison, Mnih, Teh 2017, appendix C.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit, logit

from relaxit_reference.distribution import BernoulliParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class LogitBinaryConcrete(BernoulliParameters, ReferenceDistribution):
    """The logit of a Binary Concrete variable, which is logistic with scale 1 / temperature.

    Example:
        >>> from relaxit_reference import LogitBinaryConcrete
        >>> float(LogitBinaryConcrete(temperature=2.0, logits=1.0).mean())
        0.5
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None

    def surrogate(self, noise: Numeric) -> Array:
        return np.asarray((self.log_odds + noise) / self.temperature)

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0, 1.0, 0.0)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        t = self.log_odds - self.temperature * np.asarray(x, dtype=np.float64)
        return np.asarray(np.log(self.temperature) + log_expit(t) + log_expit(-t))

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        log_noise = log_expit(noise) + log_expit(np.negative(noise))
        return np.asarray(log_noise + np.log(self.temperature) + np.zeros(self.batch_shape))

    def cdf(self, x: Numeric) -> Array:
        return np.asarray(expit(self.temperature * np.asarray(x) - self.log_odds))

    def ppf(self, q: Numeric) -> Array:
        return np.asarray((self.log_odds + logit(q)) / self.temperature)

    def mean(self) -> Array:
        return np.asarray(self.log_odds / self.temperature)

    def mode(self) -> Array:
        return self.mean()

    def var(self) -> Array:
        return self.over_batch(np.pi**2 / 3 / np.square(self.temperature))

    def entropy(self) -> Array:
        return self.over_batch(2 - np.log(self.temperature))
