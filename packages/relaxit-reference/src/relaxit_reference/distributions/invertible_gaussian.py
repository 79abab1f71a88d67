"""The invertible Gaussian relaxation (Potapczynski, Loaiza-Ganem, Cunningham 2020)."""

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import DTypeLike
from scipy.integrate import quad
from scipy.special import log_softmax, ndtr, softmax
from scipy.stats import norm

from relaxit_reference.distribution import ReferenceDistribution
from relaxit_reference.domains import Array, Numeric, Simplex, nearest_interior


@dataclass(frozen=True, eq=False)
class InvertibleGaussian(ReferenceDistribution):
    """Normal variables, mapped to the simplex by the softmax++.

    Example:
        >>> from relaxit_reference import InvertibleGaussian
        >>> igr = InvertibleGaussian(temperature=0.5, loc=[0.0, 0.0], scale=[1.0, 1.0])
        >>> igr.probabilities().round(12)  # the last where both variables are negative
        array([0.375, 0.375, 0.25 ])
    """

    temperature: Numeric
    loc: Numeric
    scale: Numeric
    delta: Numeric = 1.0

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (np.shape(self.loc)[-1] + 1,)

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (np.shape(self.loc)[-1],)

    def surrogate(self, noise: Numeric) -> Array:
        return np.asarray(softmax(self._scores(noise), axis=-1))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            log_c = np.log(nearest_interior(x, dtype))
            z = self._tau * (log_c[..., :-1] - log_c[..., -1:] + self._log_delta)
        return np.where(Simplex().contains(x), self._log_density(z, log_c), -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        z = self.loc + self.scale * np.asarray(noise)
        return self._log_density(z, log_softmax(self._scores(noise), axis=-1))

    def harden(self, x: Numeric) -> Array:
        return np.asarray(np.eye(np.shape(x)[-1])[np.argmax(x, axis=-1)])

    def discrete_pmf(self, x: Numeric) -> Array:
        return np.asarray(np.sum(self.probabilities() * x, axis=-1))

    def probabilities(self) -> Array:
        """The probability that each category is the argmax, `(*batch, K)`."""
        shape = (*self.batch_shape, *self.noise_shape)
        mu = np.broadcast_to(self.loc - self._tau * self._log_delta, shape)
        s = np.broadcast_to(self.scale, shape)
        rows = [_probabilities(mu[index], s[index]) for index in np.ndindex(self.batch_shape)]
        return np.reshape(rows, (*self.batch_shape, *self.event_shape))

    def _scores(self, noise: Numeric) -> Array:
        first = (self.loc + self.scale * np.asarray(noise)) / self._tau
        last = np.broadcast_to(self._log_delta, (*first.shape[:-1], 1))
        return np.concatenate([first, last], axis=-1)

    def _log_density(self, z: Array, log_c: Array) -> Array:
        terms = norm.logpdf((z - self.loc) / self.scale) - np.log(self.scale) + np.log(self._tau)
        return np.asarray(np.sum(terms, axis=-1) - np.sum(log_c, axis=-1))

    @property
    def _tau(self) -> Array:
        return np.asarray(self.temperature)[..., None]

    @property
    def _log_delta(self) -> Array:
        return np.log(self.delta)[..., None]


def _probabilities(mu: Array, s: Array) -> list[float]:
    """P(variable k is the largest, and positive) for each k, then P(no variable is positive).

    The first are integrals over the value of the largest variable.
    """
    # In panels, since each distribution function rises from 0 to 1 within ten deviations.
    ends = np.unique(np.maximum(mu[:, None] + s[:, None] * np.arange(-10, 11), 0))

    def chosen(k: int) -> float:
        def integrand(z: float) -> float:
            return float(norm.pdf(z, mu[k], s[k]) * np.prod(np.delete(ndtr((z - mu) / s), k)))

        return sum(quad(integrand, *panel, epsabs=1e-16)[0] for panel in pairwise(ends))

    return [*map(chosen, range(len(mu))), float(np.prod(ndtr(-mu / s)))]
