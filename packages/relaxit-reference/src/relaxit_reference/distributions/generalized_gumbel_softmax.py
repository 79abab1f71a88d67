"""Generalized Gumbel-Softmax (Joo, Kim, Shin, Moon 2020), for counts."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from relaxit_reference.distribution import ReferenceDistribution
from relaxit_reference.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class GeneralizedGumbelSoftmax(ReferenceDistribution):
    """A truncated count: a Gumbel-Softmax variable whose categories are the values of the count.

    Example:
        >>> from relaxit_reference import GeneralizedGumbelSoftmax
        >>> count = GeneralizedGumbelSoftmax(3, temperature=0.5, rate=1.0, dispersion=1.0)
        >>> count.pi.round(12)  # geometric: 0, 1, and 2 or more
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

    def pmf(self, values: int) -> Array:
        """P(X = k) before truncation, for k = 0, ..., values - 1: `(*batch, values)`."""
        lam, alpha = np.asarray(self.rate)[..., None], np.asarray(self.dispersion)[..., None]
        # (1 + alpha lam)^(-1 / alpha) approaches exp(-lam) as alpha goes to 0.
        with np.errstate(invalid="ignore"):
            log_of_zero = -np.where(alpha > 0, np.log1p(alpha * lam) / alpha, lam)
        k = np.arange(values - 1)
        # P(X = k + 1) / P(X = k). Gamma functions of large k would cancel.
        log_ratio = np.log(lam * (1 + alpha * k) / ((1 + alpha * lam) * (k + 1)))
        first = np.zeros((*log_ratio.shape[:-1], 1))
        steps = np.concatenate([first, np.cumsum(log_ratio, axis=-1)], axis=-1)
        return np.asarray(np.exp(log_of_zero + steps))

    @property
    def pi(self) -> Array:
        """The probabilities of 0, ..., n - 2, and of all larger counts together."""
        # The ratio of the terms in the tail approaches alpha lam / (1 + alpha lam).
        reach = 100 * np.max(1 + self.rate + self.dispersion * self.rate)
        pmf = self.pmf(self.truncation + int(reach))
        head, tail = pmf[..., : self.truncation - 1], pmf[..., self.truncation - 1 :]
        return np.concatenate([head, np.sum(tail, axis=-1, keepdims=True)], axis=-1)

    @property
    def categories(self) -> GumbelSoftmax:
        """The distribution of the weights."""
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
