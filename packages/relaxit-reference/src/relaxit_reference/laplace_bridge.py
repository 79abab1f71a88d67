"""The Laplace bridge between Dirichlet and logistic-normal distributions (Hobbhahn et al. 2022).

A Dirichlet distribution is given by its concentrations, `(*batch, K)`. Functions raise ValueError
if an argument is outside its domain.
"""

from __future__ import annotations

import numpy as np

from relaxit_reference.distributions.logistic_normal_softmax import LogisticNormalSoftmax
from relaxit_reference.domains import Array, Domain, Independent, Numeric, Positive, Real


def to_logistic_normal(concentration: Numeric) -> LogisticNormalSoftmax:
    """The softmax of `N(mu, Sigma)`, here as the softmax of independent `N(mu_k, 1 / a_k)`.

    Example:
        >>> from relaxit_reference import laplace_bridge
        >>> laplace_bridge.to_logistic_normal([1.0, 4.0, 16.0]).scale
        array([1.  , 0.5 , 0.25])
    """
    mu, _ = gaussian_from_concentration(concentration)
    return LogisticNormalSoftmax(mu, scale=1 / np.sqrt(concentration))


def to_dirichlet(logistic_normal: LogisticNormalSoftmax) -> Array:
    """The concentration of the Dirichlet distribution with the same mode and curvature.

    Example:
        >>> from relaxit_reference import laplace_bridge
        >>> shares = laplace_bridge.to_logistic_normal([1.0, 4.0, 16.0])
        >>> laplace_bridge.to_dirichlet(shares).round(12)
        array([ 1.,  4., 16.])
    """
    K = np.shape(logistic_normal.loc)[-1]
    P = np.eye(K) - 1 / K
    mu = logistic_normal.loc @ P
    Sigma = P @ logistic_normal.Sigma @ P
    return concentration_from_gaussian(mu, np.diagonal(Sigma, axis1=-2, axis2=-1))


def gaussian_from_concentration(concentration: Numeric) -> tuple[Array, Array]:
    """`mu` and `Sigma` of a Dirichlet distribution, in logarithmic coordinates."""
    a = _checked("concentration", concentration, Independent(Positive()))
    K = a.shape[-1]
    mu = np.log(a) - np.mean(np.log(a), axis=-1, keepdims=True)
    row, column = 1 / a[..., :, None], 1 / a[..., None, :]
    mean = np.mean(1 / a, axis=-1)[..., None, None]
    Sigma = np.eye(K) * row - (row + column - mean) / K
    return mu, np.asarray(Sigma)


def concentration_from_gaussian(mu: Numeric, variance: Numeric) -> Array:
    """`a` from `mu` and `variance`, the diagonal of the projected covariance `Sigma`."""
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
