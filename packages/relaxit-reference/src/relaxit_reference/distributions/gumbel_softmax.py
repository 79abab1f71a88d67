"""Gumbel-Softmax (Jang, Gu, Poole 2017), or Concrete (Maddison, Mnih, Teh 2017)."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import entr, gammaln, log_softmax, logsumexp, softmax

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric, OneHot, Simplex, nearest_interior


@dataclass(frozen=True, eq=False)
class GumbelSoftmax(CategoricalParameters, ReferenceDistribution):
    """A one-hot category relaxed to the interior of the simplex.

    Example:
        >>> from relaxit_reference import GumbelSoftmax
        >>> flat = GumbelSoftmax(temperature=1.0, probs=[0.5, 0.5])  # uniform for K = 2
        >>> float(flat.logpdf([0.3, 0.7]).round(12))
        0.0
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None
    hard: bool = False
    backward_temperature: Numeric = field(default=None, kw_only=True)

    def relaxed(self, noise: Numeric) -> Array:
        temperature = np.asarray(self.temperature)[..., None]
        return np.asarray(softmax((self.log_pi + noise) / temperature, axis=-1))

    def surrogate(self, noise: Numeric) -> Array:
        if self.backward_temperature is None:
            return self.relaxed(noise)
        backward_temperature = np.asarray(self.backward_temperature)[..., None]
        return np.asarray(softmax((self.log_pi + noise) / backward_temperature, axis=-1))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        if self.hard:
            # log pi_k = -log sum_j exp(log pi_j - log pi_k), precise where pi_k is nearly 1.
            chosen = np.sum(np.where(np.asarray(x) > 0, self.log_pi, 0), axis=-1)
            ratio = self.log_pi - np.where(chosen > -np.inf, chosen, 0)[..., None]
            log_pmf = np.where(chosen > -np.inf, -logsumexp(ratio, axis=-1), -np.inf)
            return np.where(OneHot().contains(x), log_pmf, -np.inf)
        possible = self.log_pi > -np.inf  # the K categories that the density is on
        K, tau = np.sum(possible, axis=-1), np.asarray(self.temperature)
        log_pi, rate = np.where(possible, self.log_pi, 0), tau[..., None]
        with np.errstate(invalid="ignore"):
            log_c = np.where(possible, np.log(nearest_interior(x, dtype)), 0)
        density = (
            gammaln(K)
            + (K - 1) * np.log(tau)
            + np.sum(log_pi - (rate + 1) * log_c, axis=-1)
            - K * logsumexp(log_pi - rate * log_c, axis=-1, b=possible)
        )
        impossible = np.any(~possible & (np.asarray(x) > 0), axis=-1)
        return np.where(Simplex().contains(x) & ~impossible, density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        if self.hard:
            return self.logpdf(self.relax(noise))
        # pi_k c_k^-temperature = exp(-g_k), up to a constant that cancels below.
        scores = (self.log_pi + noise) / np.asarray(self.temperature)[..., None]
        possible = scores > -np.inf
        K, g = np.sum(possible, axis=-1), np.broadcast_to(noise, possible.shape)
        total = np.log(np.sum(np.exp(-g), axis=-1, where=possible))
        log_product = np.sum(log_softmax(scores, axis=-1), axis=-1, where=possible)
        constant = gammaln(K) + (K - 1) * np.log(self.temperature)
        return np.asarray(constant - np.sum(g, axis=-1, where=possible) - K * total - log_product)

    def mean(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.over_batch(self.pi, event_dim=1)

    def var(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.over_batch(self.pi * (1 - self.pi), event_dim=1)

    def entropy(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self.over_batch(np.sum(entr(self.pi), axis=-1))
