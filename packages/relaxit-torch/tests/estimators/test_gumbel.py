"""Gumbel-Softmax estimators against quadrature, and the noise they draw given a sample."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, OneHotCategorical

from estimator_cases import (
    PROBLEMS,
    Estimator,
    Problem,
    assert_mean,
    draws_of,
    each_problem,
)
from relaxit_reference.testing.statistics import ALARM_RATE
from relaxit_torch.estimators import gumbel_rao, gumbel_softmax, gumbel_softmax_straight_through
from relaxit_torch.estimators.discrete import DiscreteVariable
from relaxit_torch.estimators.gumbel import perturbed_given

LOGIT, TEMPERATURE = 0.8, 0.6


def quadrature(integrand: Callable[[float], float]) -> float:
    """The mean over logistic noise."""

    def weighted(noise: float) -> float:
        return integrand(noise) * special.expit(noise) * special.expit(-noise)

    # The integrand of a hard sample jumps at -LOGIT and is smooth on both sides.
    return integrate.quad(weighted, -60, 60, points=[-LOGIT, 0], limit=500, epsabs=1e-12)[0]


def one_bit(c: Tensor) -> Tensor:
    return (c + 0.7) ** 3 + torch.cos(2 * c)


def slope_of_one_bit(c: float) -> float:
    return 3 * (c + 0.7) ** 2 - 2 * np.sin(2 * c)


def relaxed_gradient(*, hard: bool) -> float:
    def integrand(noise: float) -> float:
        soft = special.expit((LOGIT + noise) / TEMPERATURE)
        at = float(LOGIT + noise > 0) if hard else soft
        return slope_of_one_bit(at) * soft * (1 - soft) / TEMPERATURE

    return quadrature(integrand)


@pytest.mark.parametrize("kind", [Bernoulli, OneHotCategorical], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize(
    ("estimator", "hard"),
    [
        (gumbel_softmax, False),
        (gumbel_softmax_straight_through, True),
        (partial(gumbel_rao, samples=1), True),
        (partial(gumbel_rao, samples=20), True),
    ],
    ids=["gumbel_softmax", "gumbel_softmax_straight_through", "gumbel_rao 1", "gumbel_rao 20"],
)
def test_the_mean_of_a_relaxed_gradient_is_its_integral(
    kind: type[Distribution], estimator: Estimator, hard: bool
) -> None:
    leaf = torch.full((100_000,), LOGIT, dtype=torch.float64, requires_grad=True)
    if kind is Bernoulli:
        distribution: Distribution = Bernoulli(logits=leaf)
    else:  # the first of two categories
        distribution = OneHotCategorical(logits=torch.stack([leaf, torch.zeros_like(leaf)], -1))

    def f(value: Tensor) -> Tensor:
        return one_bit(value if kind is Bernoulli else value[..., 0])

    value = estimator(distribution, f, temperature=TEMPERATURE)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    expected = torch.tensor(relaxed_gradient(hard=hard), dtype=torch.float64)
    assert_mean(gradient, expected)


def test_gumbel_rao_keeps_the_mean_and_takes_variance_away() -> None:
    problem = PROBLEMS["coupled categories"]
    _, one = draws_of(gumbel_softmax_straight_through, problem, 100_000)
    _, many = draws_of(partial(gumbel_rao, samples=50), problem, 20_000)
    # Both means have an error.
    error = (one.var(0) / len(one) + many.var(0) / len(many)).sqrt()
    limit = stats.norm.isf(ALARM_RATE / (2 * error.numel()))
    assert ((one.mean(0) - many.mean(0)).abs() <= limit * error).all()
    assert (many.var(0) < 0.9 * one.var(0)).all()


@each_problem
def test_scores_given_the_sample_have_the_distribution_of_all_scores(problem: Problem) -> None:
    distribution, draws = problem.distribution(problem.logits), 20_000
    variable = DiscreteVariable.of(distribution, differentiable=False)
    value = variable.sample((draws,))
    scores = perturbed_given(variable, value, 1)[0]
    assert torch.equal(variable.harden(scores), value)
    standard = stats.gumbel_r if variable.one_hot else stats.logistic
    logits = variable.logits.reshape(-1)
    for column, logit in zip(scores.reshape(draws, -1).T, logits, strict=True):
        assert stats.kstest(column.numpy() - logit.item(), standard.cdf).pvalue > ALARM_RATE
