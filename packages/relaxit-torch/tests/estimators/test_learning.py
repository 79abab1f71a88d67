"""What estimators learn: temperatures, scales, control variates and baselines."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor

from estimator_cases import (
    PROBLEMS,
    Critic,
    Estimator,
    Problem,
    draws_of,
    each_problem,
    gradient_of,
)
from relaxit_torch.estimators import exact, rebar, relax, score_function


@each_problem
def test_learned_parameters_get_the_gradient_of_the_variance(problem: Problem) -> None:
    """The gradient equals central differences of the squared estimate with the same noise."""
    critic = Critic(problem).double()
    at = {
        "temperature": torch.tensor(0.6, dtype=torch.float64, requires_grad=True),
        "scale": torch.tensor(0.7, dtype=torch.float64, requires_grad=True),
        "critic": critic.weight,
    }

    def squared() -> Tensor:
        torch.manual_seed(3)
        options: dict[str, Any] = {n: at[n].detach().clone() for n in ("temperature", "scale")}
        estimator = partial(relax, control_variate=critic, **options)
        return gradient_of(estimator, problem, problem.logits)[1].square().sum()

    torch.manual_seed(3)
    value = relax(
        problem.distribution(problem.logits.requires_grad_()),
        problem.f,
        control_variate=critic,
        temperature=at["temperature"],
        scale=at["scale"],
    )
    value.sum().backward()
    for name, parameter in at.items():
        direction = torch.ones_like(parameter)
        ends = []
        for step in (1e-5, -1e-5):
            parameter.data += step * direction
            ends.append(squared().item())
            parameter.data -= step * direction
        numeric = (ends[0] - ends[1]) / 2e-5
        assert parameter.grad is not None, name
        found = (parameter.grad * direction).sum().item()
        # A central difference errs by 1e-10 of the third derivative and 1e-16 / 1e-5 of the value.
        assert found == pytest.approx(numeric, rel=1e-5, abs=1e-6), name


def test_the_gradient_of_the_variance_counts_with_the_squared_weight() -> None:
    problem = PROBLEMS["bits"]
    weights = torch.tensor([-2.0, 0.5, 0.0], dtype=torch.float64)
    found = []
    for weight in (torch.ones(3, dtype=torch.float64), weights):
        temperature = torch.full((3,), 0.5, dtype=torch.float64, requires_grad=True)
        torch.manual_seed(4)
        logits = problem.logits.requires_grad_()
        estimate = rebar(problem.distribution(logits), problem.f, temperature=temperature)
        found.append(torch.autograd.grad((weight * estimate).sum(), (temperature, logits)))
    torch.testing.assert_close(found[1][0], weights.square() * found[0][0])
    torch.testing.assert_close(found[1][1], weights * found[0][1])


@each_problem
def test_what_an_estimator_learns_does_not_change_the_gradient_of_f(problem: Problem) -> None:
    shift, temperature = torch.tensor([0.3, 0.6], dtype=torch.float64).requires_grad_().unbind()
    value = relax(
        problem.distribution(problem.logits.requires_grad_()),
        lambda value: problem.f(value) * torch.exp(shift),
        control_variate=Critic(problem),
        temperature=temperature,
    )
    gradients = torch.autograd.grad(value.sum(), (shift, temperature))
    torch.testing.assert_close(gradients[0], value.sum().detach())
    assert gradients[1] != 0


def test_a_temperature_that_learns_lowers_the_variance() -> None:
    problem = PROBLEMS["coupled bits"]
    log_temperature = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    scale = torch.tensor(0.0, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([log_temperature, scale], lr=0.05)
    for _ in range(200):
        logits = problem.logits.expand(100, *problem.shape).clone().requires_grad_()
        loss = -rebar(
            problem.distribution(logits), problem.f, temperature=log_temperature.exp(), scale=scale
        )
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()

    def variance(estimator: Estimator) -> float:
        return draws_of(estimator, problem, 20_000)[1].var(0).sum().item()

    learned: dict[str, Any] = {"temperature": log_temperature.exp().item(), "scale": scale.item()}
    after, before = variance(partial(rebar, **learned)), variance(score_function)
    assert after < 0.75 * before, f"{after} with {learned}, {before} of the score function"


def test_a_learned_baseline_becomes_the_mean() -> None:
    problem = PROBLEMS["bits"]
    baseline = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([baseline], lr=0.05)
    for _ in range(500):
        logits = problem.logits.expand(50, 3).clone().requires_grad_()
        loss = -score_function(problem.distribution(logits), problem.f, baseline=baseline)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    expected = exact(problem.distribution(problem.logits.requires_grad_()), problem.f)
    # With 50 draws a step and a learning rate of 0.05 the distance is about 0.02.
    torch.testing.assert_close(baseline, expected, rtol=0, atol=0.15)
