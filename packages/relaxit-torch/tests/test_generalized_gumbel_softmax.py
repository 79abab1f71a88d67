"""Truncated counts: their probabilities, tails and derivatives, and the error of truncation."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Binomial, Geometric, NegativeBinomial, Poisson

import relaxit_torch as rt
from relaxit_reference import GeneralizedGumbelSoftmax as Reference

RATES = [0.01, 0.5, 3.0, 30.0]


def scipy_counts(rate: float, dispersion: float):
    """The distribution before truncation, from SciPy."""
    if dispersion == 0:
        return stats.poisson(rate)
    return stats.nbinom(1 / dispersion, 1 / (1 + dispersion * rate))


def relaxed(truncation: int, rate, dispersion=0.0, **options) -> rt.GeneralizedGumbelSoftmax:
    if not isinstance(rate, Tensor):
        rate = torch.tensor(rate, dtype=torch.float64)
    return rt.GeneralizedGumbelSoftmax(truncation, 0.5, rate, dispersion, **options)


@pytest.mark.parametrize("truncation", [1, 2, 3, 10, 60, 200])
@pytest.mark.parametrize("dispersion", [0.0, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("rate", RATES)
def test_probabilities_and_truncation_error_equal_scipy(
    rate: float, dispersion: float, truncation: int
) -> None:
    found, distribution = relaxed(truncation, rate, dispersion), scipy_counts(rate, dispersion)
    log_probs, k = found.logits.numpy(), np.arange(truncation - 1)
    np.testing.assert_allclose(log_probs[:-1], distribution.logpmf(k), rtol=1e-11, atol=1e-11)
    # The error of the continued fraction, relative to the tail and not to 1.
    if distribution.sf(truncation - 2) > 1e-290:  # SciPy loses the logarithm of smaller tails
        assert log_probs[-1] == pytest.approx(
            distribution.logsf(truncation - 2), rel=1e-11, abs=1e-9
        )
    expected = distribution.sf(truncation - 1)
    assert found.truncation_error.item() == pytest.approx(expected, rel=1e-9, abs=1e-300)


@pytest.mark.parametrize("truncation", [2, 20])
def test_probabilities_equal_the_reference(truncation: int) -> None:
    rate = torch.tensor(RATES, dtype=torch.float64)
    dispersion = torch.tensor([0.0, 1e-9, 0.5, 2.0], dtype=torch.float64)
    reference = Reference(truncation, 0.5, rate.numpy(), dispersion.numpy())
    found = relaxed(truncation, rate, dispersion).logits.exp().numpy()
    np.testing.assert_allclose(found, reference.pi, rtol=1e-11, atol=1e-300)


def test_the_truncation_error_is_the_total_variation_distance() -> None:
    found, distribution = relaxed(6, 4.0, 0.5), scipy_counts(4.0, 0.5)
    pmf = distribution.pmf(np.arange(2000))
    truncated = np.zeros(2000)
    truncated[:6] = found.logits.exp().numpy()
    distance = np.abs(pmf - truncated).sum() / 2
    assert found.truncation_error.item() == pytest.approx(distance, rel=1e-11)


@pytest.mark.parametrize(
    "distribution",
    [
        Poisson(torch.tensor([0.5, 7.0])),
        Geometric(probs=torch.tensor([0.3, 0.9])),
        Geometric(logits=torch.tensor([-2.0, 1.0])),
        NegativeBinomial(torch.tensor([2.5, 10.0]), probs=torch.tensor([0.6, 0.2])),
        NegativeBinomial(torch.tensor(3.0), logits=torch.tensor([0.5, -1.0])),
    ],
    ids=str,
)
def test_a_distribution_of_torch_is_relaxed(distribution) -> None:
    found = rt.GeneralizedGumbelSoftmax.from_distribution(distribution, 0.5, 15, hard=True)
    k = torch.arange(15.0)[:, None]
    expected = distribution.log_prob(k)[:-1].T
    # torch's own densities are float32: each has terms of up to 30.
    torch.testing.assert_close(found.logits[:, :-1], expected, rtol=1e-5, atol=1e-4)
    counts = found.count(found.sample((100_000,)))
    mean = (found.logits.exp() * k.T).sum(-1)
    # 5 standard errors: a false alarm in 1 of 10^6 seeds.
    assert ((counts.mean(0) - mean).abs() < 5 * counts.std(0) / 100_000**0.5).all()


def test_another_distribution_is_refused() -> None:
    with pytest.raises(TypeError, match=r"distribution must be Poisson, .* but got Binomial"):
        rt.GeneralizedGumbelSoftmax.from_distribution(Binomial(3, torch.tensor(0.5)), 0.5, 4)


def test_the_count_is_linear_in_the_weights_and_exact_of_hard_ones() -> None:
    weights = torch.tensor([[0.5, 0.25, 0.25], [0.0, 0.0, 1.0]])
    assert relaxed(3, 1.0).count(weights).tolist() == [0.75, 2.0]
    hard = relaxed(300, torch.tensor(120.0), hard=True)
    counts = hard.count(hard.rsample((1000,)))
    assert torch.equal(counts, counts.round())
    assert (counts > 60).all()


@pytest.mark.parametrize("truncation", [3, 12, 40])
def test_derivatives_of_a_poisson_distribution(truncation: int) -> None:
    # d log P(X = k) / d rate = k / rate - 1, and d P(X >= m) / d rate = P(X = m - 1);
    # d log P(X = k) / d dispersion at 0 = ((k - rate)^2 - k) / 2, and of a tail the mean of this.
    rate = torch.tensor(2.5, dtype=torch.float64, requires_grad=True)
    dispersion = torch.zeros((), dtype=torch.float64, requires_grad=True)
    jacobian = [
        torch.autograd.grad(entry, (rate, dispersion), retain_graph=True)
        for entry in relaxed(truncation, rate, dispersion).logits
    ]
    by_rate, by_dispersion = np.array(jacobian).T
    k, distribution = np.arange(truncation - 1), stats.poisson(2.5)
    tail = np.arange(truncation - 1, truncation + 300)
    np.testing.assert_allclose(by_rate[:-1], k / 2.5 - 1, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(
        by_rate[-1], distribution.pmf(truncation - 2) / distribution.sf(truncation - 2), rtol=1e-9
    )
    np.testing.assert_allclose(by_dispersion[:-1], ((k - 2.5) ** 2 - k) / 2, rtol=1e-11)
    weights = distribution.pmf(tail) / distribution.sf(truncation - 2)
    np.testing.assert_allclose(
        by_dispersion[-1], np.sum(weights * ((tail - 2.5) ** 2 - tail) / 2), rtol=1e-9
    )


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_rounds_what_float64_computes(dtype) -> None:
    # Some tails are a little larger than 0.01: the sum over the head must keep their digits.
    rate = torch.linspace(0.125, 4, 100, dtype=dtype, requires_grad=True)
    found = relaxed(7, rate, 0.5)
    assert found.truncation_error.dtype == dtype
    expected = relaxed(7, rate.double(), 0.5).logits.to(dtype)
    torch.testing.assert_close(found.logits, expected, rtol=2 * torch.finfo(dtype).eps, atol=0)
    found.count(found.rsample()).sum().backward()
    assert rate.grad is not None
    assert rate.grad.isfinite().all()


def test_other_truncations_have_no_divergence() -> None:
    with pytest.raises(NotImplementedError, match="truncation"):
        torch.distributions.kl_divergence(relaxed(3, 1.0), relaxed(4, 1.0))
