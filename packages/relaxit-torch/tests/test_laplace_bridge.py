"""The Laplace bridge against its specification, the reference and the distributions it connects."""

from __future__ import annotations

import inspect

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from torch.autograd import gradcheck
from torch.distributions import Dirichlet, kl_divergence
from torch.func import vmap

import relaxit_reference
import relaxit_torch as rt
from parametrisation import each_dtype
from relaxit_reference import load_spec
from relaxit_torch.laplace_bridge import (
    concentration_from_gaussian,
    gaussian_from_concentration,
    to_dirichlet,
    to_logistic_normal,
)

SPEC = load_spec("laplace_bridge")
REFERENCE = relaxit_reference.laplace_bridge
EPS = {"float32": 2.0**-23, "float64": 2.0**-52}


@st.composite
def draws(draw: st.DrawFn, *names: str, dtype: str) -> list[np.ndarray]:
    """Parameters of the specification in their typical ranges, rounded to a precision."""
    batch = draw(st.sampled_from([(), (1,), (2, 3)]))
    shape = (*batch, draw(st.sampled_from([2, 3, 10])))
    found = []
    for name in names:
        parameter = SPEC.parameters[name]
        unit = draw(arrays(np.float64, shape, elements=st.floats(0, 1, width=32)))
        assert parameter.typical is not None
        placed = parameter.domain.place(unit, parameter.typical)
        found.append(placed.astype(dtype).astype(np.float64))
    return found


def tensors(values: list[np.ndarray], dtype: str, device: str) -> list[torch.Tensor]:
    return [torch.tensor(x, dtype=getattr(torch, dtype), device=device) for x in values]


def compare(found: torch.Tensor, expected: np.ndarray, size: np.ndarray, dtype: str) -> None:
    """Up to 16 roundings of numbers of a size."""
    error = np.abs(found.detach().cpu().double().numpy() - expected)
    assert np.all(error <= 16 * EPS[dtype] * size), f"torch: {found}\nreference: {expected}"


def log_sizes(*logs: np.ndarray) -> np.ndarray:
    """How many ulps an ulp of logarithms becomes, when they are taken to exponents."""
    return 1 + sum(np.max(np.abs(x), axis=-1, keepdims=True) for x in logs)


@each_dtype
@given(data=st.data())
def test_the_gaussian_equals_the_reference(data, dtype: str, device: str) -> None:
    drawn = data.draw(draws("concentration", dtype=dtype))
    (a,) = tensors(drawn, dtype, device)
    mu, covariance = gaussian_from_concentration(a)
    expected_mu, expected_covariance = REFERENCE.gaussian_from_concentration(*drawn)
    compare(mu, expected_mu, log_sizes(np.log(drawn[0])), dtype)
    largest = np.max(1 / drawn[0], axis=-1)[..., None, None]
    compare(covariance, expected_covariance, largest, dtype)
    distribution, expected = to_logistic_normal(Dirichlet(a)), REFERENCE.to_logistic_normal(*drawn)
    compare(distribution.loc, expected.loc, log_sizes(np.log(drawn[0])), dtype)
    compare(distribution.scale, expected.scale, expected.scale, dtype)
    size = np.maximum(largest, 0) + 0 * expected_covariance
    compare(distribution.projected_covariance, expected_covariance, size, dtype)
    assert distribution.batch_shape == a.shape[:-1]


@each_dtype
@given(data=st.data())
def test_the_concentration_equals_the_reference(data, dtype: str, device: str) -> None:
    drawn = data.draw(draws("mu", "variance", dtype=dtype))
    found = concentration_from_gaussian(*tensors(drawn, dtype, device))
    expected = REFERENCE.concentration_from_gaussian(*drawn)
    compare(found, expected, log_sizes(2 * drawn[0]) * expected, dtype)


@each_dtype
@given(data=st.data())
def test_the_dirichlet_distribution_equals_the_reference(data, dtype: str, device: str) -> None:
    drawn = data.draw(draws("mu", "variance", dtype=dtype))
    loc, scale = tensors([drawn[0], np.sqrt(drawn[1])], dtype, device)
    distribution = rt.LogisticNormalSoftmax(loc, scale)
    reference = relaxit_reference.LogisticNormalSoftmax(
        drawn[0], scale=scale.cpu().double().numpy()
    )
    expected = REFERENCE.to_dirichlet(reference)
    # The reference projects a full matrix, whose entries cancel where variances differ by 10^6.
    size = log_sizes(2 * drawn[0]) * expected
    found = to_dirichlet(distribution).concentration
    if dtype == "float64":
        np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-9)
    else:
        compare(found, expected, size, dtype)


@pytest.mark.equivalence
@pytest.mark.parametrize("function", [d.function for d in SPEC.directions])
def test_both_packages_have_every_direction_of_the_specification(function: str) -> None:
    signatures = [
        inspect.signature(getattr(module, function)) for module in (rt.laplace_bridge, REFERENCE)
    ]
    positional = [
        [name for name, p in signature.parameters.items() if p.kind is not p.KEYWORD_ONLY]
        for signature in signatures
    ]
    if (
        function != "to_logistic_normal"
    ):  # the reference takes an array instead of a Dirichlet distribution
        assert positional[0] == positional[1]
    assert getattr(rt.laplace_bridge, function).__doc__
    assert getattr(REFERENCE, function).__doc__


@pytest.mark.parametrize("categories", [2, 3, 10, 100, 1000])
@pytest.mark.parametrize(
    ("dtype", "tolerance"), [(torch.float64, 1e-12), (torch.float32, 1e-5)], ids=str
)
def test_from_a_dirichlet_distribution_and_back_is_the_identity(
    categories, dtype, tolerance
) -> None:
    random = np.random.default_rng(categories)
    a = torch.tensor(10 ** random.uniform(-2, 4, size=(50, categories))).to(dtype)
    a[:, 0], a[:, -1] = 1e-2, 1e4
    a[1], a[2] = 1e-2, 1e4
    found = to_dirichlet(to_logistic_normal(Dirichlet(a))).concentration
    torch.testing.assert_close(found, a, rtol=tolerance, atol=0.0)
    if categories <= 100:
        mu, covariance = gaussian_from_concentration(a)
        variance = covariance.diagonal(dim1=-2, dim2=-1)
        found = concentration_from_gaussian(mu, variance)
        torch.testing.assert_close(found, a, rtol=tolerance, atol=0.0)
        full = rt.LogisticNormalSoftmax(mu, scale_tril=a.rsqrt().diag_embed())
        found = to_dirichlet(full).concentration
        torch.testing.assert_close(found, a, rtol=tolerance, atol=0.0)


def test_the_diagonal_distribution_has_the_projected_covariance() -> None:
    a = torch.tensor([0.3, 2.0, 7.0, 40.0], dtype=torch.float64)
    mu, covariance = gaussian_from_concentration(a)
    # A constant in all entries makes the matrix regular, and the softmax does not see it.
    full = rt.LogisticNormalSoftmax(mu, covariance_matrix=covariance + 1)
    diagonal = to_logistic_normal(Dirichlet(a))
    value = diagonal.sample((50,))
    torch.testing.assert_close(diagonal.log_prob(value), full.log_prob(value))
    assert torch.linalg.matrix_rank(covariance) == 3
    torch.testing.assert_close(covariance.sum(-1), torch.zeros(4).double(), rtol=0, atol=1e-14)


def test_the_log_ratios_approach_the_dirichlet_log_ratios_as_concentrations_grow() -> None:
    a = torch.tensor([0.7, 2.0, 5.0], dtype=torch.float64)
    errors = []
    for factor in (10.0, 100.0, 1000.0, 10_000.0):
        grown = factor * a
        distribution = to_logistic_normal(Dirichlet(grown))
        mean, variance = torch.digamma(grown), torch.polygamma(1, grown)
        exact = (mean[:-1] - mean[-1], variance[:-1].diag() + variance[-1])
        ratios = torch.tensor([[1.0, 0.0, -1.0], [0.0, 1.0, -1.0]], dtype=torch.float64)
        found = (ratios @ distribution.loc, ratios @ distribution.covariance_matrix @ ratios.T)
        errors.append(
            [
                (exact[0] - found[0]).abs().max().item(),
                ((exact[1] - found[1]) / exact[1]).abs().max().item(),
            ]
        )
    # psi(a) = log a - 1 / (2 a) + ... and psi1(a) = (1 / a) (1 + 1 / (2 a) + ...): ten times the
    # concentration is a tenth of the error, up to a tenth of the next term of the series.
    rates = np.array(errors[:-1]) / np.array(errors[1:])
    np.testing.assert_allclose(rates[1:], 10, rtol=0.02)
    np.testing.assert_allclose(rates[0], 10, rtol=0.2)
    assert max(errors[-1]) < 1e-4


def test_samples_of_both_distributions_agree_for_large_concentrations() -> None:
    dirichlet = Dirichlet(torch.tensor([3000.0, 5000.0, 9000.0], dtype=torch.float64))
    torch.manual_seed(1)
    first = dirichlet.sample((100_000,)).log()
    second = to_logistic_normal(dirichlet).sample((100_000,)).log()
    for k in range(2):
        x, y = ((z[:, k] - z[:, 2]) for z in (first, second))
        # A normal deviate exceeds 5.5 with probability 4e-8; the bias of the mean is a hundredth
        # of a standard deviation, 1 / (2 sqrt(3000)), and three of these of the means.
        assert abs(x.mean() - y.mean()) < (5.5 + 3) * (2 / 100_000) ** 0.5 * x.std()
        assert abs(x.std() / y.std() - 1) < 5.5 / 100_000**0.5


def test_the_bridge_nearly_minimises_the_divergence_for_large_concentrations() -> None:
    a = torch.tensor([0.7, 2.0, 5.0], dtype=torch.float64)
    excess = []
    for factor in (10.0, 100.0, 1000.0):
        dirichlet = Dirichlet(factor * a)
        bridge = to_logistic_normal(dirichlet)
        # The nearest logistic-normal distribution has the moments of the log-ratios.
        best = rt.LogisticNormalSoftmax(
            torch.digamma(factor * a), torch.polygamma(1, factor * a).sqrt()
        )
        least = kl_divergence(dirichlet, best)
        excess.append((kl_divergence(dirichlet, bridge) - least).item())
        assert 0 < excess[-1] < 0.2 / factor
        assert least < 0.2 / factor
    np.testing.assert_allclose(np.divide(excess[:-1], excess[1:]), 10, rtol=0.15)


def test_no_other_distribution_is_nearer_than_the_one_with_the_same_moments() -> None:
    a = torch.tensor([3.0, 2.0, 5.0], dtype=torch.float64)
    loc = torch.digamma(a).requires_grad_()
    scale = torch.polygamma(1, a).sqrt().requires_grad_()
    divergence = kl_divergence(Dirichlet(a), rt.LogisticNormalSoftmax(loc, scale))
    for gradient in torch.autograd.grad(divergence, (loc, scale)):
        torch.testing.assert_close(gradient, torch.zeros(3).double(), rtol=0, atol=1e-13)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_divergence_keeps_its_digits_for_large_concentrations(dtype) -> None:
    a = torch.linspace(5e3, 1e4, 1000).to(dtype)
    dirichlet = Dirichlet(a)
    found = kl_divergence(dirichlet, to_logistic_normal(dirichlet)).item()
    # The leading order has two parts: the skewness and variance of log c_k, and its mean, which
    # is 1 / (2 a) from the bridge. A part that is common to all categories does not count.
    a = a.double()
    means = (a.reciprocal().sum() - 1000**2 / a.sum()) / 8
    expected = a.reciprocal().sum() / 12 - 1000 / (4 * a.sum()) + means
    # The next order is 1 / a of this; logarithms with a sum of 1000 log(10^4) / 2 are rounded.
    rounding = 2 * 4600 * torch.finfo(dtype).eps
    assert found == pytest.approx(expected.item(), rel=1e-3, abs=rounding)


def test_both_directions_are_differentiable_and_batched() -> None:
    a = torch.rand(2, 3, 4, dtype=torch.float64) + 0.5
    a.requires_grad_()
    assert gradcheck(gaussian_from_concentration, a)
    mu, covariance = gaussian_from_concentration(a.detach())
    variance = covariance.diagonal(dim1=-2, dim2=-1)
    assert gradcheck(
        concentration_from_gaussian, (mu.requires_grad_(), variance.clone().requires_grad_())
    )
    (gradient,) = torch.autograd.grad(
        to_dirichlet(to_logistic_normal(Dirichlet(a))).concentration.sum(), a
    )
    torch.testing.assert_close(gradient, torch.ones_like(a))
    distribution = to_logistic_normal(Dirichlet(a))
    assert (distribution.batch_shape, distribution.event_shape) == ((2, 3), (4,))
    assert to_dirichlet(distribution).batch_shape == (2, 3)
    rows = a.detach().reshape(6, 4)

    def there_and_back(row: torch.Tensor) -> torch.Tensor:
        dirichlet = Dirichlet(row, validate_args=False)
        return to_dirichlet(to_logistic_normal(dirichlet)).concentration

    torch.testing.assert_close(vmap(there_and_back)(rows), rows)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16], ids=str)
def test_low_precision_is_computed_in_float32_and_rounded_once(dtype) -> None:
    a = torch.tensor([0.5, 2.0, 7.0, 500.0]).to(dtype)
    distribution, exact = (to_logistic_normal(Dirichlet(x)) for x in (a, a.float()))
    assert torch.equal(distribution.loc, exact.loc.to(dtype))
    assert torch.equal(distribution.scale, exact.scale.to(dtype))
    found = to_dirichlet(distribution)
    assert found.concentration.dtype == dtype
    raised = rt.LogisticNormalSoftmax(distribution.loc.float(), distribution.scale.float())
    assert torch.equal(found.concentration, to_dirichlet(raised).concentration.to(dtype))
    for low, high in zip(
        gaussian_from_concentration(a), gaussian_from_concentration(a.float()), strict=True
    ):
        assert torch.equal(low, high.to(dtype))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_autocast_lowers_nothing(dtype: torch.dtype) -> None:
    a = torch.tensor([[0.5, 2.0, 7.0], [1.3, 0.1, 90.0]])
    mu, covariance = gaussian_from_concentration(a)
    full = rt.LogisticNormalSoftmax(mu, covariance_matrix=covariance + 0.3 * torch.eye(3))

    def everything() -> list[torch.Tensor]:
        normal = to_logistic_normal(Dirichlet(a))
        return [
            normal.loc,
            normal.scale,
            *gaussian_from_concentration(a),
            concentration_from_gaussian(mu, covariance.diagonal(dim1=-2, dim2=-1)),
            to_dirichlet(normal).concentration,
            to_dirichlet(full).concentration,
        ]

    expected = everything()
    with torch.autocast("cpu", dtype):
        found = everything()
    for one, other in zip(found, expected, strict=True):
        assert torch.equal(one, other)


def test_ratios_of_a_hundred_nats_do_not_overflow_on_the_way() -> None:
    mu = torch.tensor([60.0, -20.0, -40.0])
    found = concentration_from_gaussian(mu, torch.tensor([1.0, 1.0, 1.0]))
    expected = REFERENCE.concentration_from_gaussian(mu.double().numpy(), np.ones(3))
    np.testing.assert_allclose(found[1:], expected[1:], rtol=1e-4)
    assert expected[0] > 1e38  # beyond float32, as the exponential of 60 alone is not
    mu = torch.tensor([100.0, 99.0, 98.0])
    found = concentration_from_gaussian(mu, torch.ones(3))
    shifted = concentration_from_gaussian(mu - 99, torch.ones(3))
    torch.testing.assert_close(found, shifted, rtol=1e-4, atol=0.0)


FINITE = "finite in every entry"
POSITIVE = "positive and finite in every entry"


@pytest.mark.parametrize(
    ("function", "arguments", "message"),
    [
        (
            gaussian_from_concentration,
            ([[1.0, 2.0], [1.0, -1.0]],),
            f"concentration must be {POSITIVE}, but got -1.0 at index (1, 1)",
        ),
        (
            concentration_from_gaussian,
            ([0.0, torch.nan], [1.0, 1.0]),
            f"mu must be {FINITE}, but got nan at index (1,)",
        ),
        (
            concentration_from_gaussian,
            ([0.0, 1.0], [0.0, 1.0]),
            f"variance must be {POSITIVE}, but got 0.0 at index (0,)",
        ),
        (
            concentration_from_gaussian,
            ([0.0, 1.0, 2.0], [1.0, 1.0]),
            "mu and variance must have the same last dimension, but got shapes (3,) and (2,)",
        ),
    ],
)
def test_an_error_names_parameter_domain_and_value(function, arguments, message: str) -> None:
    with pytest.raises(ValueError) as error:  # noqa: PT011 (the whole message is compared)
        function(*map(torch.tensor, arguments))
    assert str(error.value) == message
    if "dimension" not in message:
        function(*map(torch.tensor, arguments), validate_args=False)


def test_other_distributions_are_refused_by_name() -> None:
    distribution = to_logistic_normal(Dirichlet(torch.ones(3)))
    with pytest.raises(TypeError, match="dirichlet must be a Dirichlet distribution, but got Logi"):
        to_logistic_normal(distribution)
    with pytest.raises(TypeError, match="must be a LogisticNormalSoftmax, but got Dirichlet"):
        to_dirichlet(Dirichlet(torch.ones(3)))  # type: ignore[arg-type]  # is refused
