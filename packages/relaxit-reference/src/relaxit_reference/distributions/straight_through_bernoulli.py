"""Straight-through Bernoulli (Bengio, Léonard, Courville 2013)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit

from relaxit_reference.distribution import BernoulliParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class StraightThroughBernoulli(BernoulliParameters, ReferenceDistribution):
    """A Bernoulli variable whose backward pass differentiates its probability.

    Example:
        >>> from relaxit_reference import StraightThroughBernoulli
        >>> bit = StraightThroughBernoulli(probs=0.3)
        >>> float(bit.relax(0.2)), float(bit.surrogate(0.2))
        (1.0, 0.3)
    """

    probs: Numeric = None
    logits: Numeric = None

    def relax(self, noise: Numeric) -> Array:
        return np.where(np.asarray(noise) < self.pi, 1.0, 0.0)

    def surrogate(self, noise: Numeric) -> Array:
        return self.pi + np.zeros(np.shape(noise))

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0.5, 1.0, 0.0)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        log_pmf = np.where(np.asarray(x) == 1, log_expit(self.log_odds), log_expit(-self.log_odds))
        return np.where(np.isin(x, (0, 1)), log_pmf, -np.inf)

    def mean(self) -> Array:
        return self.pi

    def var(self) -> Array:
        return np.asarray(expit(self.log_odds) * expit(-self.log_odds))

    def entropy(self) -> Array:
        one, zero = self.log_odds, -self.log_odds
        return np.asarray(-expit(one) * log_expit(one) - expit(zero) * log_expit(zero))
