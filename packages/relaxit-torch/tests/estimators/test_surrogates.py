"""Straight-through estimators and ReinMax against their formulas, at every sample and in the mean.

Given its sample, such an estimator has no further noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, OneHotCategorical

from estimator_cases import (
    Estimator,
    Problem,
    always_draw,
    assert_mean,
    draws_of,
    each_problem,
    gradient_of,
)
from relaxit_torch.estimators import (
    decoupled_straight_through,
    exact,
    reinmax,
    straight_through,
)

# Functions for which an estimator is exact.


def linear(problem: Problem, value: Tensor) -> Tensor:
    """Linear in each variable, but not in all variables of an event together."""
    if problem.kind is OneHotCategorical:
        value = (value * torch.arange(1.0, 4.0, dtype=torch.float64)).sum(-1)
    return value.flatten(-problem.coupled).prod(-1) if problem.coupled else value


def quadratic(problem: Problem, value: Tensor) -> Tensor:
    """Quadratic in each variable."""
    return linear(problem, value) + linear(problem, value**2 - 0.3 * value)


@each_problem
def test_estimators_for_functions_of_each_variable_are_exact_for_low_degrees(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    for estimator, function in [(straight_through, linear), (reinmax, quadratic)]:
        f = partial(function, problem)
        found = mean_gradient(estimator, problem, f, monkeypatch)
        logits = problem.logits.requires_grad_()
        value = exact(problem.distribution(logits), f)
        (expected,) = torch.autograd.grad(value.sum(), logits)
        torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-12)


def mean_gradient(
    estimator: Estimator,
    problem: Problem,
    f: Callable[[Tensor], Tensor],
    monkeypatch: pytest.MonkeyPatch,
) -> Tensor:
    """The mean over the states of an estimator without further noise."""
    states = problem.batched_states()
    leaf = problem.logits.expand(states.shape).clone().requires_grad_()
    with monkeypatch.context() as patch:
        always_draw(patch, states)
        value = estimator(problem.distribution(leaf), f)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return (probabilities(problem, problem.logits) * gradient).sum(0)


def probabilities(problem: Problem, logits: Tensor) -> Tensor:
    """Probabilities of the batched states, with dimensions of size 1 for the event."""
    probs = problem.distribution(logits).log_prob(problem.batched_states()).exp()
    return probs.reshape(*probs.shape, *(1,) * problem.event_dim)


# Formulas.


def slope_at(problem: Problem, states: Tensor) -> Tensor:
    leaf = states.clone().requires_grad_()
    return torch.autograd.grad(problem.f(leaf).sum(), leaf)[0]


def jacobian_times(problem: Problem, probs: Tensor, slope: Tensor) -> Tensor:
    """`J(probs) slope`, with the matrices written out."""
    if problem.kind is Bernoulli:
        return probs * (1 - probs) * slope
    matrix = torch.diag_embed(probs) - probs.unsqueeze(-1) * probs.unsqueeze(-2)
    return (matrix @ slope.unsqueeze(-1)).squeeze(-1)


def squash(problem: Problem, scores: Tensor) -> Tensor:
    return scores.sigmoid() if problem.kind is Bernoulli else scores.softmax(-1)


def tempered_estimate(problem: Problem, z: Tensor, slope: Tensor, temperature: float) -> Tensor:
    probs = squash(problem, problem.logits / temperature)
    return jacobian_times(problem, probs, slope) / temperature


def reinmax_estimate(problem: Problem, z: Tensor, slope: Tensor, temperature: float) -> Tensor:
    middle = (z + squash(problem, problem.logits / temperature)) / 2
    straight = jacobian_times(problem, squash(problem, problem.logits), slope)
    return 2 * jacobian_times(problem, middle, slope) - straight / 2


@dataclass(frozen=True)
class Surrogate:
    """An estimator, with the formula of its estimate."""

    label: str
    estimator: Estimator
    formula: Callable[[Problem, Tensor, Tensor], Tensor]
    """Of the problem, the sample and the slope of `f` there."""
    forward_temperature: float = 1.0
    """The temperature at which the sample is drawn."""

    def __str__(self) -> str:
        return self.label


SURROGATES = [
    Surrogate("straight_through", straight_through, partial(tempered_estimate, temperature=1.0)),
    Surrogate(
        "decoupled_straight_through",
        partial(decoupled_straight_through, forward_temperature=0.7, backward_temperature=2.0),
        partial(tempered_estimate, temperature=2.0),
        forward_temperature=0.7,
    ),
    *(
        Surrogate(
            f"reinmax at temperature {temperature}",
            partial(reinmax, temperature=temperature),
            partial(reinmax_estimate, temperature=temperature),
        )
        for temperature in (1.0, 2.0)
    ),
]

each_surrogate = pytest.mark.parametrize("surrogate", SURROGATES, ids=str)


@each_problem
@each_surrogate
def test_the_estimate_at_every_sample_is_the_formula(
    surrogate: Surrogate, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    states = problem.batched_states()
    expected = surrogate.formula(problem, states, slope_at(problem, states))
    always_draw(monkeypatch, states)
    logits = problem.logits.expand(states.shape)
    value, gradient = gradient_of(surrogate.estimator, problem, logits)
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(value, problem.f(states)), "the value is f at the sample"


@each_problem
@each_surrogate
def test_the_mean_over_draws_is_the_mean_over_states(
    surrogate: Surrogate, problem: Problem
) -> None:
    states = problem.batched_states()
    probs = probabilities(problem, problem.logits / surrogate.forward_temperature)
    expected = (probs * surrogate.formula(problem, states, slope_at(problem, states))).sum(0)
    assert_mean(draws_of(surrogate.estimator, problem, 100_000)[1], expected)
