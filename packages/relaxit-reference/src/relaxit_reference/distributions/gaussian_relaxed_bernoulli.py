"""Stochastic gates (Yamada, Lindenbaum, Negahban, Kluger 2020)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import log_ndtr, ndtr, ndtri
from scipy.stats import norm

from relaxit_reference.distribution import ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class GaussianRelaxedBernoulli(ReferenceDistribution):
    """A normal variable clipped to [0, 1].

    Example:
        >>> from relaxit_reference import GaussianRelaxedBernoulli
        >>> float(GaussianRelaxedBernoulli(loc=0.5).mean())
        0.5
    """

    loc: Numeric
    scale: Numeric = 0.5

    def surrogate(self, noise: Numeric) -> Array:
        return np.asarray(np.clip(self.loc + self.scale * np.asarray(noise), 0, 1))

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0.5, 1.0, 0.0)

    def discrete_pmf(self, x: Numeric) -> Array:
        z = (self.loc - 0.5) / self.scale
        return np.where(np.asarray(x) == 1, ndtr(z), ndtr(-z))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        c = np.asarray(x, dtype=np.float64)
        between = norm.logpdf((c - self.loc) / self.scale) - np.log(self.scale)
        at_0, at_1 = log_ndtr(-self.loc / self.scale), log_ndtr((self.loc - 1) / self.scale)
        inside = np.where((c >= 0) & (c <= 1), between, -np.inf)
        return np.where(c == 0, at_0, np.where(c == 1, at_1, inside))

    def cdf(self, x: Numeric) -> Array:
        below_1 = np.where(np.asarray(x) < 0, 0, ndtr((x - self.loc) / self.scale))
        return np.where(np.asarray(x) >= 1, 1, below_1)

    def ppf(self, q: Numeric) -> Array:
        return np.asarray(np.clip(self.loc + self.scale * ndtri(q), 0, 1))

    def mean(self) -> Array:
        a, b = self._ends()
        between = self.loc * (ndtr(b) - ndtr(a)) + self.scale * (norm.pdf(a) - norm.pdf(b))
        return np.asarray(between + ndtr(-b))

    def var(self) -> Array:
        # E[(c - m)^2] over 0, 1 and the part between, with x - m = (mu - m) + s z.
        a, b = self._ends()
        m, between = self.mean(), ndtr(b) - ndtr(a)
        first = norm.pdf(a) - norm.pdf(b)
        second = between + a * norm.pdf(a) - b * norm.pdf(b)
        shift = self.loc - m
        inner = shift**2 * between + 2 * shift * self.scale * first + self.scale**2 * second
        return np.asarray(m**2 * ndtr(a) + (1 - m) ** 2 * ndtr(-b) + inner)

    def entropy(self) -> Array:
        a, b = self._ends()
        between = ndtr(b) - ndtr(a)
        second = between + a * norm.pdf(a) - b * norm.pdf(b)
        inner = between * np.log(self.scale * np.sqrt(2 * np.pi)) + second / 2
        return np.asarray(inner - ndtr(a) * log_ndtr(a) - ndtr(-b) * log_ndtr(-b))

    def _ends(self) -> tuple[Array, Array]:
        """The distances of 0 and 1 from the mean, in standard deviations."""
        return np.asarray((0 - self.loc) / self.scale), np.asarray((1 - self.loc) / self.scale)
