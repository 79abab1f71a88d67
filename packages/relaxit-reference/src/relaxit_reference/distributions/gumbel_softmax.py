"""Gumbel-Softmax (Jang, Gu, Poole 2017), or Concrete (Maddison, Mnih, Teh 2017)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, DTypeLike
from scipy.special import entr, gammaln, log_softmax, logsumexp, softmax, xlogy

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.domains import Array, OneHot, Simplex, nearest_interior


@dataclass(frozen=True)
class GumbelSoftmax(CategoricalParameters, ReferenceDistribution):
    """A one-hot category relaxed to the interior of the simplex.

    Example:
        >>> from relaxit_reference import GumbelSoftmax
        >>> flat = GumbelSoftmax(temperature=1.0, probs=[0.5, 0.5])  # uniform for K = 2
        >>> float(flat.logpdf([0.3, 0.7]).round(12))
        0.0
    """

    temperature: ArrayLike
    probs: ArrayLike | None = None
    logits: ArrayLike | None = None
    hard: bool = False

    def surrogate(self, noise: ArrayLike) -> Array:
        temperature = np.asarray(self.temperature)[..., None]
        return np.asarray(softmax((self.log_pi + noise) / temperature, axis=-1))

    def harden(self, x: ArrayLike) -> Array:
        return np.eye(np.shape(x)[-1])[np.argmax(x, axis=-1)]

    def discrete_pmf(self, x: ArrayLike) -> Array:
        return np.asarray(np.sum(self.pi * x, axis=-1))

    def logpdf(self, x: ArrayLike, dtype: DTypeLike = np.float64) -> Array:
        if self.hard:
            log_pmf = np.sum(xlogy(x, self.pi), axis=-1)
            return np.where(OneHot().contains(x), log_pmf, -np.inf)
        c, possible = nearest_interior(x, dtype), self.log_pi > -np.inf
        with np.errstate(invalid="ignore"):
            density = self._logpdf_of_log(np.log(c)) - np.sum(np.log(c), axis=-1, where=possible)
        impossible = np.any(~possible & (np.asarray(x) > 0), axis=-1)
        return np.where(Simplex().contains(x) & ~impossible, density, -np.inf)

    def logpdf_from_noise(self, noise: ArrayLike) -> Array:
        if self.hard:
            return self.logpdf(self.relax(noise))
        temperature, possible = np.asarray(self.temperature)[..., None], self.log_pi > -np.inf
        log_c = log_softmax((self.log_pi + noise) / temperature, axis=-1)
        log_c = np.where(possible, log_c, 0)
        return np.asarray(self._logpdf_of_log(log_c) - np.sum(log_c, axis=-1))

    def _logpdf_of_log(self, log_c: Array) -> Array:
        """The density of `log c`, on the K categories that are possible."""
        possible = self.log_pi > -np.inf
        K, tau = np.sum(possible, axis=-1), np.asarray(self.temperature)
        terms = np.where(possible, self.log_pi, -np.inf) - tau[..., None] * log_c
        return np.asarray(
            gammaln(K)
            + (K - 1) * np.log(tau)
            + np.sum(np.where(possible, terms, 0), axis=-1)
            - K * logsumexp(terms, axis=-1)
        )

    def mean(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.pi

    def var(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.pi * (1 - self.pi)

    def entropy(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return np.asarray(entr(self.pi).sum(-1))
