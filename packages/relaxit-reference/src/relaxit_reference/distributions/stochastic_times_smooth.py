"""Stochastic times smooth (Bengio, Léonard, Courville 2013, section 3.2)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import entr, log_expit

from relaxit_reference.distribution import BernoulliParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class StochasticTimesSmooth(BernoulliParameters, ReferenceDistribution):
    """A gate with the values 0 and the square root of its mean.

    Example:
        >>> from relaxit_reference import StochasticTimesSmooth
        >>> float(StochasticTimesSmooth(probs=0.25).relax(0.4).round(12))
        0.5
    """

    probs: Numeric = None
    logits: Numeric = None

    def surrogate(self, noise: Numeric) -> Array:
        return np.where(np.asarray(noise) < self._root(), self._root(), 0.0)

    def states(self) -> Array:
        return np.stack([np.zeros(self.batch_shape), self._root() + np.zeros(self.batch_shape)])

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        root = self._root()
        # 1 - sqrt(p) = (1 - p) / (1 + sqrt(p))
        at_0, at_root = log_expit(-self.log_odds) - np.log1p(root), log_expit(self.log_odds) / 2
        near = np.abs(x - root) <= 8 * np.finfo(dtype).eps * root  # equal up to rounding
        return np.where(np.asarray(x) == 0, at_0, np.where(near, at_root, -np.inf))

    def mean(self) -> Array:
        return self.pi

    def var(self) -> Array:
        root = self._root()
        return np.asarray(self.pi * root * np.exp(self.logpdf(np.zeros(()))))

    def entropy(self) -> Array:
        zero, one = np.exp(self.logpdf(np.zeros(()))), self._root()
        return np.asarray(entr(zero) + entr(one))

    def _root(self) -> Array:
        return np.asarray(np.exp(log_expit(self.log_odds) / 2))
