"""Correlated relaxed Bernoulli variables (Lee, Imrie, van der Schaar 2022)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit, log_ndtr, logit, ndtri_exp
from scipy.stats import norm

from relaxit_reference.distribution import CorrelatedParameters, ReferenceDistribution
from relaxit_reference.distributions.correlated_bernoulli import CorrelatedBernoulli
from relaxit_reference.domains import Array, Numeric, nearest_interior


@dataclass(frozen=True, eq=False)
class CorrelatedRelaxedBernoulli(CorrelatedParameters, ReferenceDistribution):
    """Binary Concrete variables, coupled by a normal copula.

    Example:
        >>> from relaxit_reference import CorrelatedRelaxedBernoulli
        >>> matrix = [[1.0, 0.5], [0.5, 1.0]]
        >>> gates = CorrelatedRelaxedBernoulli(1.0, [0.5, 0.5], correlation_matrix=matrix)
        >>> gates.relax([0.0, 0.0])
        array([0.5, 0.5])
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None
    correlation_matrix: Numeric = None
    correlation_cholesky: Numeric = None

    def surrogate(self, noise: Numeric) -> Array:
        v = self.couple(noise)
        logit_u = log_ndtr(v) - log_ndtr(-v)
        return np.asarray(expit((logit_u + self.log_odds) / self._rate))

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0.5, 1.0, 0.0)

    def discrete_pmf(self, x: Numeric) -> Array:
        return CorrelatedBernoulli(logits=self.log_odds, correlation_cholesky=self.L).discrete_pmf(
            x
        )

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        c = nearest_interior(x, dtype)
        with np.errstate(invalid="ignore", divide="ignore"):
            logit_c, log_derivative = logit(c), -np.log(c) - np.log1p(-c)
        inside = np.all((c > 0) & (c < 1), axis=-1)
        density = self._log_density(self._rate * logit_c - self.log_odds, log_derivative)
        return np.where(inside, density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        v = self.couple(noise)
        logit_u = log_ndtr(v) - log_ndtr(-v)
        y = (logit_u + self.log_odds) / self._rate
        return self._log_density(logit_u, -log_expit(y) - log_expit(-y), v)

    def _log_density(self, l: Array, log_derivative: Array, v: Array | None = None) -> Array:  # noqa: E741
        """From `l = temperature * logit(c) - logit(pi)` and the derivative of `logit(c)`."""
        if v is None:
            v = np.where(l < 0, ndtri_exp(log_expit(l)), -ndtri_exp(log_expit(-l)))
        terms = -norm.logpdf(v) + log_expit(l) + log_expit(-l) + np.log(self._rate) + log_derivative
        return np.asarray(self.log_normal(v) + np.sum(terms, axis=-1))

    @property
    def _rate(self) -> Array:
        return np.asarray(self.temperature)[..., None]
