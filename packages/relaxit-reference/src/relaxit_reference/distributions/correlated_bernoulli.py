"""The correlated Bernoulli variables that Lee, Imrie, van der Schaar (2022) relax."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, log_expit, log_ndtr, logsumexp, ndtr, ndtri_exp
from scipy.stats import norm

from relaxit_reference.distribution import CorrelatedParameters, ReferenceDistribution
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class CorrelatedBernoulli(CorrelatedParameters, ReferenceDistribution):
    """Bernoulli variables that are coupled by a normal copula.

    Example:
        >>> from relaxit_reference import CorrelatedBernoulli
        >>> bits = CorrelatedBernoulli([0.5, 0.5], correlation_matrix=[[1.0, 0.5], [0.5, 1.0]])
        >>> float(bits.discrete_pmf([1.0, 1.0]).round(12))  # 1/4 + arcsin(1/2) / (2 pi)
        0.333333333333
    """

    probs: Numeric = None
    logits: Numeric = None
    correlation_matrix: Numeric = None
    correlation_cholesky: Numeric = None
    hard: ClassVar[bool] = True

    def surrogate(self, noise: Numeric) -> Array:
        v = self.couple(noise)
        return np.asarray(log_ndtr(v) - log_ndtr(-v) + self.log_odds)

    def harden(self, x: Numeric) -> Array:
        return np.where(np.asarray(x) > 0, 1.0, 0.0)

    def discrete_pmf(self, x: Numeric) -> Array:
        return np.exp(self.logpdf(x))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        if self.event_shape[0] > 2:
            raise NotImplementedError("an orthant probability of more than 2 dimensions")
        log_pmf = np.full(np.broadcast_shapes(np.shape(x)[:-1], self.batch_shape), -np.inf)
        for state in self.spec.relax.support.states(self.event_shape):
            found = np.all(np.asarray(x) == state, axis=-1)
            log_pmf = np.where(found, self._log_orthant(2 * state - 1), log_pmf)
        return log_pmf

    def _log_orthant(self, s: Array) -> Array:
        """`log P(s_k v_k <= s_k Phi^-1(pi_k) for all k)`."""
        if s.shape[-1] == 1:
            return np.asarray(log_expit(s * self.log_odds)[..., 0])
        a = s * self._quantile()
        h, k, r = np.broadcast_arrays(a[..., 0], a[..., 1], s[0] * s[1] * self.R[..., 0, 1])
        # A probability near 1 is 1 - P(X > h) - P(Y > k) + P(X > h, Y > k).
        likely = (h > 0) & (k > 0)
        sign = np.where(likely, -1.0, 1.0)
        log_part = log_quadrant(sign * h, sign * k, r)
        missing = np.where(likely, ndtr(-h) + ndtr(-k) - np.exp(log_part), 0)
        return np.where(likely, np.log1p(-missing), log_part)

    def mean(self) -> Array:
        return self.pi

    def var(self) -> Array:
        return np.asarray(expit(self.log_odds) * expit(-self.log_odds))

    def _quantile(self) -> Array:
        """`Phi^-1(pi)`."""
        return np.copysign(ndtri_exp(log_expit(-np.abs(self.log_odds))), self.log_odds)


def log_quadrant(h: Array, k: Array, r: Array) -> Array:
    """`log P(X <= h, Y <= k)` of standard normal variables with correlation `r`.

    The integral of `P(Y <= k | X = x) = Phi((k - r x) / sqrt(1 - r^2))` over `x <= h`, where `h` is
    the smaller bound. The panels are narrow next to `h` and around `k / r`, where the integrand
    steps from 0 to 1.
    """
    h, k, r = np.minimum(h, k)[..., None], np.maximum(h, k)[..., None], r[..., None]
    width = np.sqrt(1 - r**2)
    doubling = np.concatenate([[0.0], 2.0 ** np.arange(-16, 6)])
    step = np.where(np.abs(r) > 1e-3, k / np.where(np.abs(r) > 1e-3, r, 1.0), h)
    around = step + width * np.linspace(-12, 12, 25)
    edges = np.sort(np.minimum(np.concatenate([h - doubling, around], axis=-1), h), axis=-1)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(edges)[..., None] / 2
    x = edges[..., :-1, None] + half * (nodes + 1)
    conditional = log_ndtr((k[..., None] - r[..., None] * x) / width[..., None])
    terms = norm.logpdf(x) + conditional
    return np.asarray(logsumexp(terms, b=half * weights, axis=(-2, -1)))
