"""The Laplace bridge between Dirichlet and logistic-normal laws (Hobbhahn et al. 2022).

A Dirichlet law is its array of concentrations, `(*batch, K)`.
"""

from __future__ import annotations

import numpy as np

from relaxit_reference.distributions.logistic_normal_softmax import LogisticNormalSoftmax
from relaxit_reference.domains import Array, Domain, Independent, Numeric, Positive, Real


def to_logistic_normal(concentration: Numeric) -> LogisticNormalSoftmax:
    """The softmax of `N(mu, Sigma)`, which is that of independent variables of variances `1 / a`.

    Example:
        >>> from relaxit_reference import laplace_bridge
        >>> laplace_bridge.to_logistic_normal([1.0, 4.0, 16.0]).scale
        array([1.  , 0.5 , 0.25])
    """
    mu, _ = gaussian_from_concentration(concentration)
    return LogisticNormalSoftmax(mu, scale=1 / np.sqrt(concentration))


def to_dirichlet(logistic_normal: LogisticNormalSoftmax) -> Array:
    """The concentration of the Dirichlet law with the same mode and curvature.

    Example:
        >>> from relaxit_reference import laplace_bridge
        >>> law = laplace_bridge.to_logistic_normal([1.0, 4.0, 16.0])
        >>> laplace_bridge.to_dirichlet(law).round(12)
        array([ 1.,  4., 16.])
    """
    K = np.shape(logistic_normal.loc)[-1]
    P = np.eye(K) - 1 / K
    mu = logistic_normal.loc @ P
    Sigma = P @ logistic_normal.Sigma @ P
    return concentration_from_gaussian(mu, np.diagonal(Sigma, axis1=-2, axis2=-1))


def gaussian_from_concentration(concentration: Numeric) -> tuple[Array, Array]:
    """`mu` and `Sigma` of a Dirichlet law, in logarithmic coordinates."""
    a = _checked("concentration", concentration, Independent(Positive()))
    K = a.shape[-1]
    mu = np.log(a) - np.mean(np.log(a), axis=-1, keepdims=True)
    row, column = 1 / a[..., :, None], 1 / a[..., None, :]
    mean = np.mean(1 / a, axis=-1)[..., None, None]
    Sigma = np.eye(K) * row - (row + column - mean) / K
    return mu, np.asarray(Sigma)


def concentration_from_gaussian(mu: Numeric, variance: Numeric) -> Array:
    """`a` of `mu` and the diagonal of `Sigma`, which is that of the projected covariance."""
    mu = _checked("mu", mu, Independent(Real()))
    variance = _checked("variance", variance, Independent(Positive()))
    K = mu.shape[-1]
    total = np.sum(np.exp(-mu), axis=-1, keepdims=True)
    return np.asarray((1 - 2 / K + np.exp(mu) / K**2 * total) / variance)


def _checked(name: str, value: Numeric, domain: Domain) -> Array:
    x = np.asarray(value, dtype=np.float64)
    if not np.all(domain.contains(x)):
        raise ValueError(f"{name} must be {domain.describe()}, but got {x}")
    return x
