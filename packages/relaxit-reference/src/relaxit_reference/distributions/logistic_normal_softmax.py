"""The logistic-normal distribution (Aitchison, Shen 1980), as a softmax of all K variables."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import log_softmax, softmax
from scipy.stats import norm

from relaxit_reference.distribution import ReferenceDistribution
from relaxit_reference.domains import Array, Numeric, Simplex, nearest_interior


@dataclass(frozen=True, eq=False)
class LogisticNormalSoftmax(ReferenceDistribution):
    """The softmax of a normal vector.

    Example:
        >>> from relaxit_reference import LogisticNormalSoftmax
        >>> shares = LogisticNormalSoftmax(loc=[0.0, 0.0], scale=[1.0, 1.0])
        >>> shares.relax([1.0, 1.0])
        array([0.5, 0.5])
    """

    loc: Numeric
    scale: Numeric = None
    covariance_matrix: Numeric = None
    scale_tril: Numeric = None

    def surrogate(self, noise: Numeric) -> Array:
        return np.asarray(softmax(self.loc + self._deviation(noise), axis=-1))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        with np.errstate(invalid="ignore", divide="ignore"):
            log_c = np.log(nearest_interior(x, dtype))
        density = self._log_normal(log_c - self.loc) - np.sum(log_c, axis=-1)
        return np.where(Simplex().contains(x), density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        deviation = self._deviation(noise)
        log_c = log_softmax(self.loc + deviation, axis=-1)
        return np.asarray(self._log_normal(deviation) - np.sum(log_c, axis=-1))

    @property
    def L(self) -> Array:  # noqa: N802
        """`chol(Sigma)`."""
        if self.scale is not None:
            return np.asarray(self.scale[..., None] * np.eye(np.shape(self.scale)[-1]))
        if self.scale_tril is not None:
            return np.asarray(self.scale_tril)
        return np.asarray(np.linalg.cholesky(self.covariance_matrix))

    @property
    def Sigma(self) -> Array:  # noqa: N802
        """The covariance matrix."""
        return np.asarray(self.L @ np.swapaxes(self.L, -2, -1))

    def _deviation(self, noise: Numeric) -> Array:
        return np.asarray(self.L @ np.asarray(noise, dtype=np.float64)[..., None])[..., 0]

    def _log_normal(self, deviation: Array) -> Array:
        """`log N(y; A mu, A Sigma A^T)`, with `y = A log c` and `deviation = log c - mu`.

        `A` subtracts the last category from the others. Any category may take the place of the
        last; the category with the smallest variance loses the fewest digits.
        """
        K = np.shape(self.loc)[-1]
        variance = np.diagonal(self.Sigma, axis1=-2, axis2=-1)
        permutation = np.eye(K)[np.argsort(-variance, axis=-1)]
        A = np.concatenate([np.eye(K - 1), -np.ones((K - 1, 1))], axis=-1) @ permutation
        # chol(A Sigma A^T) from A L = factor @ (orthogonal rows), without the squares in Sigma.
        R = np.linalg.qr(np.swapaxes(A @ self.L, -2, -1), mode="r")
        factor = np.swapaxes(R, -2, -1)
        eps = np.linalg.solve(factor, A @ deviation[..., None])[..., 0]
        log_diagonal = np.log(np.abs(np.diagonal(factor, axis1=-2, axis2=-1)))
        return np.asarray(np.sum(norm.logpdf(eps) - log_diagonal, axis=-1))
