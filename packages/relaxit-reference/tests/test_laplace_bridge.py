"""The Laplace bridge of the reference: it is its own inverse, and keeps what it must keep."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import digamma, polygamma

from relaxit_reference import LogisticNormalSoftmax, load_spec
from relaxit_reference.laplace_bridge import (
    concentration_from_gaussian,
    gaussian_from_concentration,
    to_dirichlet,
    to_logistic_normal,
)

SPEC = load_spec("laplace_bridge")


@st.composite
def draws(draw: st.DrawFn, name: str, *, moderate: bool = False) -> Any:
    """A parameter of the specification, for a batch of vectors."""
    parameter = SPEC.parameters[name]
    shape = draw(st.sampled_from([(2,), (3,), (10,), (2, 3), (4, 1, 5)]))
    unit = draw(arrays(np.float64, shape, elements=st.floats(0, 1)))
    bounds = parameter.moderate if moderate else parameter.typical
    assert bounds is not None
    return parameter.domain.place(unit, bounds)


@given(draws("concentration"))
def test_from_a_concentration_and_back_is_the_identity(a) -> None:
    mu, Sigma = gaussian_from_concentration(a)
    variance = np.diagonal(Sigma, axis1=-2, axis2=-1)
    # Logarithms of concentrations from 1e-2 to 1e4 differ by up to 14. The diagonal of the matrix
    # is a difference of numbers up to twice its largest entry.
    lost = np.max(1 / a, axis=-1, keepdims=True) / variance
    error = np.abs(concentration_from_gaussian(mu, variance) / a - 1)
    assert np.all(error <= 1e-14 * (14 + 2 * lost))


@given(draws("concentration", moderate=True))
def test_the_covariance_is_the_projection_of_independent_variances(a) -> None:
    mu, Sigma = gaussian_from_concentration(a)
    K = a.shape[-1]
    P = np.eye(K) - 1 / K
    np.testing.assert_allclose(Sigma, P @ (np.eye(K) / a[..., None, :]) @ P, atol=1e-14)
    np.testing.assert_allclose(mu.sum(-1), 0, atol=1e-13)
    np.testing.assert_allclose(np.linalg.matrix_rank(Sigma, tol=1e-10), K - 1)


@given(draws("concentration", moderate=True))
def test_from_a_dirichlet_distribution_and_back_is_the_identity(a) -> None:
    distribution = to_logistic_normal(a)
    assert distribution.batch_shape == a.shape[:-1]
    np.testing.assert_allclose(to_dirichlet(distribution), a, rtol=1e-12)


@given(draws("concentration", moderate=True))
def test_the_distribution_is_the_softmax_of_the_gaussian(a) -> None:
    mu, Sigma = gaussian_from_concentration(a)
    distribution = to_logistic_normal(a)
    # A constant in all entries makes the matrix regular and does not change the softmax.
    full = LogisticNormalSoftmax(mu, covariance_matrix=Sigma + np.ones(Sigma.shape))
    x = distribution.rvs(5, random_state=0)
    np.testing.assert_allclose(full.logpdf(x), distribution.logpdf(x), rtol=1e-9, atol=1e-9)


@given(draws("mu"))
def test_a_constant_in_the_mean_changes_nothing(mu) -> None:
    variance = np.linspace(0.5, 2, mu.shape[-1])
    expected = concentration_from_gaussian(mu, variance)
    np.testing.assert_allclose(concentration_from_gaussian(mu + 3, variance), expected, rtol=1e-12)


def test_means_and_variances_of_log_ratios_approach_those_of_the_dirichlet() -> None:
    a = np.array([0.7, 2.0, 5.0])
    errors = []
    for factor in (100.0, 1000.0, 10_000.0):
        mu, Sigma = gaussian_from_concentration(factor * a)
        mean, variance = digamma(factor * a), polygamma(1, factor * a)
        of_ratio = Sigma[0, 0] + Sigma[2, 2] - 2 * Sigma[0, 2]
        errors.append(
            [mu[0] - mu[2] - mean[0] + mean[2], of_ratio / (variance[0] + variance[2]) - 1]
        )
    rates = np.divide(errors[:-1], errors[1:])
    np.testing.assert_allclose(rates, 10, rtol=0.02)


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (gaussian_from_concentration, ([1.0, 0.0],), "concentration must be positive and finite"),
        (to_logistic_normal, ([1.0, -1.0],), "concentration must be positive and finite"),
        (concentration_from_gaussian, ([np.nan, 0.0], [1.0, 1.0]), "mu must be finite"),
        (concentration_from_gaussian, ([0.0, 0.0], [1.0, 0.0]), "variance must be positive"),
    ],
)
def test_an_error_names_the_parameter_and_its_domain(function, arguments, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        function(*arguments)
