"""Special functions against SciPy, and their gradients where they end."""

from __future__ import annotations

import math

import mpmath
import numpy as np
import pytest
import scipy.special
import scipy.stats
import torch

import relaxit_torch as rt
from relaxit_torch.numerics import kernels, normal, special

DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.bfloat16], ids=str)
def test_log_interior_counts_the_ends_as_their_neighbours(dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    ends = torch.tensor([0.0, 1.0])
    if dtype == torch.float64:
        ends = ends.double()
    assert kernels.log_interior(ends, dtype)[0].item() == pytest.approx(
        math.log(limits.tiny) + math.log(limits.eps), rel=1e-6
    )
    assert special.below_one(ends, dtype)[1].item() == 1 - limits.eps / 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gradient_of_log_interior_is_the_one_of_log_or_zero_but_never_infinite(
    dtype: torch.dtype,
) -> None:
    limits = torch.finfo(dtype)
    value = torch.tensor([0.0, limits.tiny, 1e-20, 0.5, 1.0], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(kernels.log_interior(value, dtype).sum(), value)
    expected = torch.tensor([0.0, 0.0, 1e20, 2.0, 1.0], dtype=dtype)
    torch.testing.assert_close(gradient, expected, rtol=4 * limits.eps, atol=0.0)
    # `torch.func` takes another path.
    total = torch.func.grad(lambda value: kernels.log_interior(value, dtype).sum())
    torch.testing.assert_close(total(value.detach()), gradient, rtol=4 * limits.eps, atol=0.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_log_density_of_the_logistic_distribution_equals_scipy(dtype: torch.dtype) -> None:
    x = torch.tensor([-1e30, -500.0, -20.0, -1e-8, 0.0, 0.3, 20.0, 500.0, 1e30], dtype=dtype)
    expected = scipy.stats.logistic.logpdf(x.double().numpy())
    found = kernels.log_logistic_density(x).double()
    np.testing.assert_allclose(found, expected, rtol=4 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("x", [-torch.inf, torch.inf])
def test_the_log_density_of_the_logistic_distribution_is_minus_infinity_at_both_ends(
    dtype: torch.dtype, x: float
) -> None:
    end = torch.tensor(x, dtype=dtype, requires_grad=True)
    density = kernels.log_logistic_density(end)
    assert density == -torch.inf
    assert torch.autograd.grad(density, end)[0].isfinite()


@pytest.mark.parametrize("value", [-torch.inf, torch.inf])
def test_the_log_density_of_the_logit_space_class_is_minus_infinity_at_both_ends(
    value: float,
) -> None:
    logits = torch.tensor([-1.0, 0.0, 2.0])
    distribution = rt.LogitBinaryConcrete(0.5, logits=logits, validate_args=False)
    found = distribution.log_prob(torch.full_like(logits, value))
    torch.testing.assert_close(found, torch.full_like(logits, -torch.inf))


def test_the_log_density_of_the_logistic_distribution_has_two_derivatives_at_0_too() -> None:
    x = torch.tensor([-3.0, 0.0, 1.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(kernels.log_logistic_density, x)
    assert torch.autograd.gradgradcheck(kernels.log_logistic_density, x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_softmax_keeps_the_logarithm_of_what_is_nearly_certain(dtype: torch.dtype) -> None:
    scores = torch.tensor(
        [[0.0, -40.0, -60.0], [3.0, 3.0, 3.0], [5.0, -math.inf, 4.0]], dtype=dtype
    )
    wide = scores.double().numpy()
    with np.errstate(invalid="ignore"):
        expected = -scipy.special.logsumexp(wide[:, None, :] - wide[:, :, None], axis=-1)
    expected[2, 1] = -np.inf
    np.testing.assert_allclose(
        special.log_softmax(scores).double(), expected, rtol=8 * torch.finfo(dtype).eps
    )


def test_log_softmax_has_the_derivatives_of_log_softmax() -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(special.log_softmax, scores)
    assert torch.autograd.gradgradcheck(special.log_softmax, scores)


BOTH_SIGNS = np.concatenate([-np.logspace(-12, 0, 40)[::-1], [0.0], np.logspace(-12, 0, 40)])


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_ndtr_equals_scipy(dtype: torch.dtype) -> None:
    x = torch.tensor(BOTH_SIGNS * 40, dtype=dtype)
    expected = scipy.special.log_ndtr(x.double().numpy())
    # In the upper tail it is the tail probability, of which exp(-x^2/2) costs x^2/2 ulps.
    condition = 1 + np.minimum(x.double().numpy() ** 2, 120)
    error = np.abs(normal.log_ndtr(x).double().numpy() - expected)
    tiny = torch.finfo(dtype).tiny
    assert np.all(error <= 4 * torch.finfo(dtype).eps * condition * np.abs(expected) + tiny)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_logit_ndtr_is_precise_in_the_tails_and_around_0(dtype: torch.dtype) -> None:
    x = torch.tensor(BOTH_SIGNS * 40, dtype=dtype)
    with mpmath.workdps(50):
        expected = [
            mpmath.log(mpmath.ncdf(v)) - mpmath.log(mpmath.ncdf(-v))
            for v in map(mpmath.mpf, x.tolist())
        ]
    np.testing.assert_allclose(
        normal.logit_ndtr(x).double(),
        [float(e) for e in expected],
        rtol=8 * torch.finfo(dtype).eps,
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ndtri_exp_equals_scipy(dtype: torch.dtype) -> None:
    y = torch.tensor(-np.logspace(-15, 3, 400), dtype=dtype)
    expected = scipy.special.ndtri_exp(y.double().numpy())
    # Around y = -log 2 the result crosses 0, and keeps the absolute error of the input.
    error = np.abs(normal.ndtri_exp(y).double().numpy() - expected)
    assert np.all(error <= 8 * torch.finfo(dtype).eps * (1 + np.abs(expected)))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ndtri_exp_keeps_its_digits_where_scipy_loses_some(dtype: torch.dtype) -> None:
    y = torch.tensor([-5e3, -1e5, -1e8], dtype=dtype)
    found = normal.ndtri_exp(y).tolist()
    with mpmath.workdps(60):
        for x, exact in zip(found, y.tolist(), strict=True):
            root = mpmath.findroot(lambda v, exact=exact: mpmath.log(mpmath.ncdf(v)) - exact, x)
            assert abs(x / root - 1) <= 2 * torch.finfo(dtype).eps


def test_ndtri_exp_at_the_ends() -> None:
    ends = torch.tensor([-torch.inf, 0.0, 0.5], dtype=torch.float64)
    found = normal.ndtri_exp(ends)
    assert found[:2].tolist() == [-torch.inf, torch.inf]
    assert found[2].isnan()


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_ndtri_expit_inverts_logit_ndtr_for_hundreds_of_nats(dtype: torch.dtype) -> None:
    x = torch.tensor(BOTH_SIGNS * 800, dtype=dtype)
    found = normal.ndtri_expit(x)
    wide = x.double().numpy()
    expected = scipy.special.ndtri_exp(scipy.special.log_expit(-np.abs(wide))) * -np.sign(wide)
    central = np.abs(wide) < 0.1  # where the logarithm of 1/2 + x/4 has lost x
    with mpmath.workdps(30):
        exact = [
            float(mpmath.sqrt(2) * mpmath.erfinv(mpmath.tanh(mpmath.mpf(v) / 2)))
            for v in wide[central]
        ]
    expected[central] = exact
    precision = torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double(), expected, rtol=16 * precision)
    # logit_ndtr of a number of size v has v^2 / 2 as its tail: twice the relative error.
    np.testing.assert_allclose(normal.logit_ndtr(found), x, rtol=32 * precision)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gradients_of_the_normal_functions_are_exact(dtype: torch.dtype) -> None:
    x = torch.tensor(BOTH_SIGNS * 30, dtype=dtype, requires_grad=True)
    with mpmath.workdps(400):  # the tail at 30 is 10^-198
        slope = [
            float(mpmath.npdf(v) / (mpmath.ncdf(v) * mpmath.ncdf(-v)))
            for v in map(mpmath.mpf, x.tolist())
        ]
    rtol = 16 * torch.finfo(dtype).eps
    (found,) = torch.autograd.grad(normal.logit_ndtr(x).sum(), x)
    np.testing.assert_allclose(found.double(), slope, rtol=rtol)
    logits = normal.logit_ndtr(x.detach()).requires_grad_()
    (found,) = torch.autograd.grad(normal.ndtri_expit(logits).sum(), logits)
    np.testing.assert_allclose(found.double(), np.reciprocal(slope), rtol=rtol)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_gamma_entropy_is_precise_for_every_size(dtype: torch.dtype) -> None:
    a = torch.tensor(np.logspace(-4, 9, 300), dtype=dtype)
    with mpmath.workdps(40):
        expected = [
            float(mpmath.loggamma(v) - v * mpmath.digamma(v) + v)
            for v in map(mpmath.mpf, a.tolist())
        ]
    # Between 1 and 10 terms of size up to 25 cancel.
    tolerance = 50 * torch.finfo(dtype).eps
    np.testing.assert_allclose(
        special.log_gamma_entropy(a).double(), expected, rtol=tolerance, atol=tolerance
    )


def test_log_gamma_entropy_has_two_derivatives_on_both_sides_of_its_series() -> None:
    a = torch.tensor([0.01, 0.5, 3.0, 9.9, 10.1, 50.0], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(special.log_gamma_entropy, a)
    assert torch.autograd.gradgradcheck(special.log_gamma_entropy, a)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_complement_of_a_share_is_the_sum_of_the_others(dtype: torch.dtype) -> None:
    shares = torch.tensor([[1.0, 1e-20, 3e-20], [0.5, 0.25, 0.25], [1e-9, 1.0, 1e-30]], dtype=dtype)
    expected = torch.tensor([[4e-20, 1.0, 1.0], [0.5, 0.75, 0.75], [1.0, 1e-9, 1.0]], dtype=dtype)
    torch.testing.assert_close(special.complement_of_shares(shares), expected, atol=0, rtol=1e-6)


# Forward mode loads torch/_decomp/decompositions_for_jvp.py, which scripts its functions.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.filterwarnings("ignore:`torch.jit.script_method` is deprecated:FutureWarning")
@pytest.mark.parametrize(
    "function", [normal.log_ndtr, normal.logit_ndtr, normal.ndtri_exp, normal.ndtri_expit]
)
def test_the_normal_functions_have_two_derivatives_in_every_mode(function) -> None:
    points = [-30.0, -5.5, -5.0, -3.0, -2.0, -1.5, -1.0, -0.9, -0.4]  # the bounds of branches too
    points += [] if function is normal.ndtri_exp else [0.0, 0.3, 0.8, 1.0, 1.2, 2.0, 2.5, 6.0]
    x = torch.tensor(points, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(function, x, check_forward_ad=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(function, x)
    torch.testing.assert_close(torch.func.vmap(function)(x), function(x), rtol=0, atol=0)
