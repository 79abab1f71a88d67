"""What correlated Bernoulli variables must show beyond the checks that all distributions share."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

import relaxit_torch as rt
from relaxit_reference import CorrelatedBernoulli
from relaxit_reference.testing.statistics import ALARM_RATE, chi_square

PROBS = [[0.2, 0.4, 0.4], [0.3, 0.5, 0.2]]
MATRIX = [[1.0, 0.5, 0.3], [0.5, 1.0, 0.7], [0.3, 0.7, 1.0]]


def double(value) -> torch.Tensor:
    return torch.tensor(value, dtype=torch.float64)


class Count(TorchDispatchMode):
    """Counts operations by name, and keeps the size of the largest result."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []
        self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        self.names.append(func._schema.name)
        if isinstance(result, torch.Tensor):
            self.largest = max(self.largest, result.untyped_storage().nbytes())
        return result


def test_pairs_of_hardened_samples_have_bivariate_normal_probabilities() -> None:
    relaxed = rt.CorrelatedRelaxedBernoulli(0.1, double(PROBS), correlation_matrix=double(MATRIX))
    torch.manual_seed(1)
    bits = relaxed.harden(relaxed.rsample((100_000,))).numpy()
    for row, probs in enumerate(PROBS):
        for i, j in itertools.combinations(range(3), 2):
            pair = CorrelatedBernoulli(
                [probs[i], probs[j]], correlation_matrix=[[1.0, MATRIX[i][j]], [MATRIX[i][j], 1.0]]
            )
            states = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
            drawn = bits[:, row][:, [i, j]]
            counts = np.array([np.all(drawn == state, axis=1).sum() for state in states])
            # The seed is fixed. A correct distribution fails for a pair with probability 1e-6.
            assert chi_square(counts, pair.discrete_pmf(states)) > ALARM_RATE
            # Four standard deviations of a share: exceeded with probability 6e-5.
            assert abs(drawn[:, 0].mean() - probs[i]) < 4 * (0.25 / 100_000) ** 0.5


@pytest.mark.parametrize("correlation", [-0.99, -0.6, 0.0, 0.9, 0.99])
@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_the_density_has_mass_one_up_to_a_correlation_of_99_percent(
    temperature: float, correlation: float
) -> None:
    logits = double([[2.0, -1.0], [0.0, 0.0], [-3.0, 3.0]])
    step = 0.1  # of temperature * logit(c), in which a normal density is still 0.16 wide
    axis = torch.arange(-36, 36, step, dtype=torch.float64) + step / 2
    grid = torch.cartesian_prod(axis, axis)
    total = torch.zeros(3, dtype=torch.float64)
    for signs in itertools.product([1.0, -1.0], repeat=2):
        # Values above 1/2 by their complements, which floating point tells from 1.
        flip = double(signs)
        distribution = rt.CorrelatedRelaxedBernoulli(
            temperature,
            logits=logits * flip,
            correlation_matrix=torch.outer(flip, flip)
            * double([[1.0, correlation], [correlation, 1.0]]),
        )
        logit = (flip * grid)[((flip * grid) < 0).all(-1), None] / temperature
        value = logit.sigmoid()
        jacobian = (value.log() + torch.log1p(-value)).sum(-1)
        total += (distribution.log_prob(value) + jacobian).exp().sum(0) * (step / temperature) ** 2
    torch.testing.assert_close(total, torch.ones(3).double(), rtol=0, atol=1e-8)


@pytest.mark.parametrize("temperature", [0.01, 0.05, 0.3])
def test_the_score_of_a_sample_is_exact_at_low_temperature(temperature: float) -> None:
    logits = [4.0, -20.0, 0.5]
    distribution = rt.CorrelatedRelaxedBernoulli(
        temperature, logits=double(logits), correlation_matrix=double(MATRIX)
    )
    torch.manual_seed(3)
    noise = distribution.noise((20,))
    torch.manual_seed(3)
    found = distribution.rsample_and_log_prob((20,))[1]
    with mpmath.workdps(400):  # c is within 10^-300 of 0 or 1
        factor = mpmath.cholesky(mpmath.matrix(MATRIX))
        expected = [_log_density(row, factor, logits, temperature) for row in noise.tolist()]
    # Terms of up to 20 / temperature: 2000 of them in an ulp of 1e-16.
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12, atol=1e-12)


def _log_density(noise: list[float], factor, logits: list[float], temperature: float) -> float:
    """The log density from the noise, by the derivative of each step, in 50 digits or more."""
    eps = mpmath.matrix(noise)
    v = factor * eps
    total = mpmath.fsum(mpmath.log(mpmath.npdf(e)) for e in eps)
    total -= mpmath.fsum(mpmath.log(factor[k, k]) for k in range(len(noise)))
    for x, logit in zip(v, logits, strict=True):
        p, q = mpmath.ncdf(x), mpmath.ncdf(-x)
        y = (mpmath.log(p / q) + mpmath.mpf(logit)) / mpmath.mpf(temperature)
        # dc/dy = c (1 - c), dy/dlogit = 1 / temperature, dlogit/dv = phi / (p q).
        total -= -mpmath.log(1 + mpmath.exp(-y)) - mpmath.log(1 + mpmath.exp(y))
        total -= mpmath.log(mpmath.npdf(x) / (p * q)) - mpmath.log(mpmath.mpf(temperature))
    return float(total)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({(0, 2): 0.4}, r"symmetric, but got 0\.4 at index \(0, 2\)"),
        ({(1, 1): 0.9}, r"of unit diagonal, but got 0\.9 at index \(1, 1\)"),
        ({(0, 1): -0.5, (1, 0): -0.5}, r"positive definite, but got \[\[1\.0, -0\.5.*\]\]"),
        ({(0, 1): torch.nan, (1, 0): torch.nan}, r"finite, but got nan at index \(0, 1\)"),
    ],
)
@pytest.mark.parametrize("distribution", [rt.CorrelatedBernoulli, rt.CorrelatedRelaxedBernoulli])
def test_the_fault_of_a_matrix_is_named(distribution, changes, words: str) -> None:
    matrix = double(MATRIX)
    for place, entry in changes.items():
        matrix[place] = entry
    temperature = {"temperature": 0.5} if distribution is rt.CorrelatedRelaxedBernoulli else {}
    with pytest.raises(ValueError, match=f"^correlation_matrix must be {words}"):
        distribution(**temperature, probs=double(PROBS), correlation_matrix=matrix)
    batch = torch.stack([double(MATRIX), matrix])
    with pytest.raises(ValueError, match=r"index \(1,"):
        distribution(**temperature, probs=double(PROBS), correlation_matrix=batch)


@pytest.mark.parametrize(
    ("factor", "words"),
    [
        ([[1.0, 0.5], [0.0, 1.0]], r"lower triangular, but got 0\.5 at index \(0, 1\)"),
        ([[1.0, 0.0], [0.6, -0.8]], r"of positive diagonal, but got -0\.8 at index \(1, 1\)"),
        ([[1.0, 0.0], [0.6, 0.9]], r"of rows of length 1, but got \[0\.6, 0\.9\] at index \(1,\)"),
    ],
)
def test_the_fault_of_a_factor_is_named(factor, words: str) -> None:
    with pytest.raises(ValueError, match=f"^correlation_cholesky must be {words}"):
        rt.CorrelatedBernoulli(double([0.5, 0.5]), correlation_cholesky=double(factor))


def test_sizes_that_do_not_agree_are_named() -> None:
    with pytest.raises(ValueError, match=r"one size, but got probs \(3,\), .*matrix \(2, 2\)"):
        rt.CorrelatedBernoulli(double(PROBS), correlation_matrix=torch.eye(2).double())


def test_log_prob_of_many_components_is_exact_for_the_identity_and_refused_otherwise() -> None:
    probs = double(PROBS)
    bits = double([1.0, 0.0, 1.0])
    independent = rt.CorrelatedBernoulli(probs, correlation_matrix=torch.eye(3).double())
    expected = torch.distributions.Bernoulli(probs).log_prob(bits).sum(-1)
    torch.testing.assert_close(independent.log_prob(bits), expected)
    coupled = rt.CorrelatedBernoulli(probs, correlation_matrix=double(MATRIX))
    with pytest.raises(NotImplementedError, match="orthant probability"):
        coupled.log_prob(bits)


def test_the_identity_gives_independent_binary_concrete_variables() -> None:
    logits = double([[1.0, -2.0, 0.3]])
    coupled = rt.CorrelatedRelaxedBernoulli(
        0.7, logits=logits, correlation_matrix=torch.eye(3).double()
    )
    value = coupled.sample((50,))
    expected = rt.BinaryConcrete(0.7, logits=logits).log_prob(value).sum(-1)
    torch.testing.assert_close(coupled.log_prob(value), expected)


def test_the_probabilities_of_all_states_sum_to_one() -> None:
    states = double(list(itertools.product([0.0, 1.0], repeat=2)))[:, None]
    for correlation in (-0.999, -0.5, 0.0, 0.8, 0.999):
        distribution = rt.CorrelatedBernoulli(
            logits=double([[30.0, -30.0], [0.0, 0.1], [-3.0, 5.0]]),
            correlation_matrix=double([[1.0, correlation], [correlation, 1.0]]),
        )
        total = distribution.log_prob(states).exp().sum(0)
        torch.testing.assert_close(total, torch.ones(3).double(), rtol=1e-12, atol=1e-12)


def test_one_matrix_is_factorised_once_and_never_repeated_over_the_batch() -> None:
    n, batch = 32, 5_000
    with Count() as count:
        distribution = rt.CorrelatedRelaxedBernoulli(
            0.5, torch.full((batch, n), 0.4), correlation_matrix=torch.eye(n), validate_args=False
        )
        distribution.log_prob(distribution.sample((3,)))
        distribution.rsample_and_log_prob((3,))
        distribution.expand((2, batch)).sample()
    assert count.names.count("aten::linalg_cholesky_ex") == 1
    assert count.largest <= 3 * batch * n * 4, "no more than one number for each of the sample"


def test_a_matrix_with_a_gradient_may_be_used_in_two_backward_passes() -> None:
    matrix = double(MATRIX).requires_grad_()
    distribution = rt.CorrelatedRelaxedBernoulli(0.5, double(PROBS), correlation_matrix=matrix)
    for _ in range(2):
        distribution.rsample().sum().backward()
    assert matrix.grad is not None
    assert matrix.grad.isfinite().all()


def test_what_was_kept_in_inference_mode_serves_training() -> None:
    logits = double([0.3, -0.2, 1.0]).requires_grad_()
    distribution = rt.CorrelatedRelaxedBernoulli(
        0.5, logits=logits, correlation_matrix=double(MATRIX)
    )
    with torch.inference_mode():
        value = distribution.sample()
    distribution.log_prob(value.clone()).backward()
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
