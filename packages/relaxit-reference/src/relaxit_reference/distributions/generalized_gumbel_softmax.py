"""Generalized Gumbel-Softmax (Joo, Kim, Shin, Moon 2020), for counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import gammaln

from relaxit_reference.distribution import ReferenceDistribution
from relaxit_reference.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True)
class GeneralizedGumbelSoftmax(ReferenceDistribution):
    """A truncated count, whose values are the categories of a Gumbel-Softmax variable.

    Example:
        >>> from relaxit_reference import GeneralizedGumbelSoftmax
        >>> law = GeneralizedGumbelSoftmax(3, temperature=0.5, rate=1.0, dispersion=1.0)
        >>> law.pi.round(12)  # geometric: 0, 1, and 2 or more
        array([0.5 , 0.25, 0.25])
    """

    truncation: int
    temperature: Numeric
    rate: Numeric
    dispersion: Numeric = 0.0
    hard: bool = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.truncation,)

    def pmf(self, k: Numeric) -> Array:
        """P(X = k) before the truncation, `(*batch, values)`."""
        lam, alpha = np.asarray(self.rate)[..., None], np.asarray(self.dispersion)[..., None]
        k = np.asarray(k)
        # alpha to 0: (1 + alpha lam)^(-1 / alpha) becomes exp(-lam).
        with np.errstate(invalid="ignore", divide="ignore"):
            of_zero = np.where(alpha > 0, np.log1p(alpha * lam) / alpha, lam)
        factors = np.cumsum(np.log1p(alpha * np.arange(np.max(k) + 1)), axis=-1)
        product = np.where(k > 0, np.take(factors, np.maximum(k, 1) - 1, axis=-1), 0)
        log_powers = k * (np.log(lam) - np.log1p(alpha * lam))
        return np.asarray(np.exp(log_powers - of_zero + product - gammaln(k + 1)))

    @property
    def pi(self) -> Array:
        """The probabilities of 0 to n - 2, and of all that are larger."""
        # Where the terms of the tail end: their ratio approaches alpha lam / (1 + alpha lam).
        reach = 100 * np.max(1 + self.rate + self.dispersion * self.rate)
        pmf = self.pmf(np.arange(self.truncation + int(reach)))
        head, tail = pmf[..., : self.truncation - 1], pmf[..., self.truncation - 1 :]
        return np.concatenate([head, np.sum(tail, axis=-1, keepdims=True)], axis=-1)

    @property
    def categories(self) -> GumbelSoftmax:
        """The law of the weights."""
        return GumbelSoftmax(self.temperature, logits=np.log(self.pi), hard=self.hard)

    def surrogate(self, noise: Numeric) -> Array:
        return self.categories.surrogate(noise)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        return self.categories.logpdf(x, dtype)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        return self.categories.logpdf_from_noise(noise)

    def harden(self, x: Numeric) -> Array:
        return self.categories.harden(x)

    def discrete_pmf(self, x: Numeric) -> Array:
        return self.categories.discrete_pmf(x)

    def mean(self) -> Array:
        return self.categories.mean()

    def var(self) -> Array:
        return self.categories.var()

    def entropy(self) -> Array:
        return self.categories.entropy()
