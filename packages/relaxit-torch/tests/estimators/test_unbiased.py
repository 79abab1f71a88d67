"""Unbiased estimators against the sum over all states, and `exact` against its formula."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent

from estimator_cases import (
    CASES,
    DEFAULTS,
    Estimator,
    EstimatorCase,
    Problem,
    assert_mean,
    draws_of,
    each_case_and_problem,
    each_problem,
    gradient_of,
)
from relaxit_torch.estimators import exact, unordered_set

RANDOM_AND_UNBIASED = [case for case in CASES if case.unbiased and case.function is not exact]


@each_problem
def test_exact_is_the_sum_over_all_states(problem: Problem) -> None:
    logits = problem.logits.requires_grad_()
    distribution, states = problem.distribution(logits), problem.batched_states()
    value = exact(distribution, problem.f)
    assert value.shape == distribution.batch_shape
    expected = (distribution.log_prob(states).exp() * problem.f(states)).sum(0)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)
    (found,) = torch.autograd.grad(value.sum(), logits, retain_graph=True)
    (gradient,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(found, gradient, rtol=1e-12, atol=1e-13)


@each_problem
def test_exact_evaluates_each_state_once(problem: Problem) -> None:
    seen: list[Tensor] = []

    def f(value: Tensor) -> Tensor:
        seen.append(value)
        return problem.f(value)

    exact(problem.distribution(problem.logits.requires_grad_()), f)
    assert torch.equal(seen[0], problem.batched_states())


@each_case_and_problem(RANDOM_AND_UNBIASED)
def test_the_mean_over_draws_is_the_exact_gradient(case: EstimatorCase, problem: Problem) -> None:
    # No estimate is heavy-tailed, so the mean of so many draws is normal as far as the limit.
    value, gradient = draws_of(case.estimator(problem), problem, case.draws)
    expected_value, expected = gradient_of(exact, problem, problem.logits)
    assert_mean(gradient, expected)
    assert_mean(value, expected_value)


@each_case_and_problem([DEFAULTS["rebar"], DEFAULTS["unordered_set"], DEFAULTS["disarm"]])
def test_float32_is_unbiased_too(case: EstimatorCase, problem: Problem) -> None:
    value, gradient = draws_of(case.estimator(problem), problem, 10_000, torch.float32)
    assert value.dtype == gradient.dtype == torch.float32
    _, expected = gradient_of(exact, problem, problem.logits)
    # There is no variance where all states are drawn. The terms of the sums are about 1.
    assert_mean(gradient.double(), expected, rounding=1e-5)


# Published numbers. The quadratic benchmark has its own in test_quadratic_benchmark.py.


def tied_bits(estimator: Estimator, draws: int) -> Tensor:
    """Gradients of the one logit of three bits, with `f` of Yin and Zhou and of Kool et al."""
    target = torch.tensor([0.6, 0.51, 0.48], dtype=torch.float64)
    logit = torch.zeros(draws, dtype=torch.float64, requires_grad=True)
    distribution = Independent(Bernoulli(logits=logit.unsqueeze(-1).expand(draws, 3)), 1)
    value = estimator(distribution, lambda bits: (bits - target).square().sum(-1))
    return torch.autograd.grad(value.sum(), logit)[0]


def test_the_exact_gradient_of_three_tied_bits() -> None:
    assert f"{tied_bits(exact, 1).item():.4f}" == "-0.0450"


def test_the_unordered_set_of_all_states_has_no_variance() -> None:
    gradients = tied_bits(partial(unordered_set, k=8), 100)
    # The estimates are ratios of quadratures, whose error is 1e-12.
    torch.testing.assert_close(gradients, torch.full_like(gradients, -0.045), rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 4, 7])
def test_the_unordered_set_of_fewer_states_has_the_exact_mean(k: int) -> None:
    gradients = tied_bits(partial(unordered_set, k=k), 5_000)
    assert_mean(gradients, torch.tensor(-0.045, dtype=torch.float64))
