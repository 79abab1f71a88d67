"""What all estimators share: samples, values, shapes, dtypes and the distributions they accept."""

from __future__ import annotations

import inspect
from functools import partial

import pyro
import pytest
import torch
from scipy import stats
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical

import relaxit_torch as rt
from estimator_cases import (
    CASES,
    DEFAULTS,
    PROBLEMS,
    Estimator,
    EstimatorCase,
    Problem,
    each_case,
    each_case_and_problem,
    each_problem,
    gradient_of,
)
from relaxit_reference.testing.statistics import ALARM_RATE
from relaxit_torch.estimators import (
    disarm,
    exact,
    gumbel_rao,
    rebar,
    score_function,
    straight_through,
)
from relaxit_torch.estimators.discrete import DiscreteVariable

# Samples.


@each_problem
def test_samples_follow_the_distribution(problem: Problem) -> None:
    distribution, draws = problem.distribution(problem.logits), 50_000
    states = problem.batched_states()
    value = DiscreteVariable.of(distribution, differentiable=False).sample((draws,))
    same = value.unsqueeze(1) == states
    found = (same.flatten(-problem.event_dim).all(-1) if problem.event_dim else same).sum(0)
    expected = draws * distribution.log_prob(states).exp()
    statistic = ((found - expected) ** 2 / expected).sum(0)
    assert (stats.chi2.sf(statistic, len(states) - 1) > ALARM_RATE).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize(
    "estimator",
    [straight_through, gumbel_rao, rebar, score_function],
    ids=lambda estimator: estimator.__name__,
)
def test_half_precision_draws_what_float32_does(estimator: Estimator, dtype: torch.dtype) -> None:
    """Scores in half precision would often tie, which favours the first of many categories."""
    logits = torch.zeros(500, 100, dtype=dtype)
    found = []
    for given in (logits, logits.float()):
        seen: list[Tensor] = []
        torch.manual_seed(0)
        leaf = given.clone().requires_grad_()

        def f(z: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(z)
            return z @ torch.linspace(0, 1, 100, dtype=z.dtype)

        distribution = OneHotCategorical(logits=leaf, validate_args=False)
        estimator(distribution, f).sum().backward()
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert seen[0].dtype == given.dtype
        found.append(seen[0].detach().float())
    assert torch.equal(*found)


# Values and gradients.


@each_case_and_problem(DEFAULTS.values())
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_value_and_gradient_keep_shape_and_dtype(
    case: EstimatorCase, problem: Problem, dtype: torch.dtype
) -> None:
    for leading in [(), (5,), (2, 1)]:
        logits = problem.logits.to(dtype).expand(*leading, *problem.shape).clone().requires_grad_()
        distribution = problem.distribution(logits)
        value = case.function(distribution, problem.f)
        assert value.shape == distribution.batch_shape
        assert value.dtype == dtype
        value.sum().backward()
        assert logits.grad is not None
        assert logits.grad.shape == logits.shape
        assert logits.grad.isfinite().all()


@each_case_and_problem(CASES)
def test_the_value_is_f_at_states_and_its_parameters_get_its_gradient(
    case: EstimatorCase, problem: Problem
) -> None:
    shift = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    seen: list[Tensor] = []

    def f(value: Tensor) -> Tensor:
        seen.append(value.detach())
        return problem.f(value) * torch.exp(shift)

    value = case.estimator(problem)(problem.distribution(problem.logits.requires_grad_()), f)
    (gradient,) = torch.autograd.grad(value.sum(), shift)
    # f is proportional to exp(shift), so any average of f is its own derivative, unless a control
    # variate leaks into the gradient.
    torch.testing.assert_close(gradient, value.sum().detach(), rtol=1e-12, atol=1e-12)
    states, first = problem.batched_states(), seen[0]
    if case.value != "at a relaxed sample":
        assert ((first == 0) | (first == 1)).all(), "f is called on discrete samples first"
    if case.value == "at a state":
        possible = problem.f(states) * torch.exp(shift)
        assert (value == possible).any(0).all(), "the value is exactly f of a state"


@each_case_and_problem(DEFAULTS.values())
def test_extreme_logits_give_finite_gradients(case: EstimatorCase, problem: Problem) -> None:
    for scale in (0.0, 1e-6, 50.0):
        logits = scale * torch.sign(problem.logits).float()
        value, gradient = gradient_of(case.function, problem, logits.expand(50, *logits.shape))
        assert value.isfinite().all(), scale
        assert gradient.isfinite().all(), scale


@each_case_and_problem(DEFAULTS.values())
def test_without_gradients_the_value_is_left(case: EstimatorCase, problem: Problem) -> None:
    with torch.no_grad():
        value = case.function(problem.distribution(problem.logits), problem.f)
    assert not value.requires_grad
    assert value.shape == problem.distribution(problem.logits).batch_shape


@pytest.mark.parametrize("kind", [Bernoulli, OneHotCategorical], ids=lambda kind: kind.__name__)
@each_case([DEFAULTS["exact"], DEFAULTS["straight_through"], DEFAULTS["score_function"]])
def test_probabilities_get_the_gradient_through_their_logits(
    kind: type[Bernoulli | OneHotCategorical], case: EstimatorCase
) -> None:
    def f(value: Tensor) -> Tensor:
        return value[..., 0] * 3 if kind is OneHotCategorical else value * 3

    probs = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    logits = (probs.log() if kind is OneHotCategorical else probs.logit()).detach().requires_grad_()
    torch.manual_seed(1)
    case.function(kind(probs=probs), f).sum().backward()
    torch.manual_seed(1)
    case.function(kind(logits=logits), f).sum().backward()
    assert logits.grad is not None
    if kind is Bernoulli:
        expected = logits.grad / (probs * (1 - probs)).detach()
    else:  # torch divides by the sum of the probabilities, here 1
        expected = logits.grad / probs.detach()
    torch.testing.assert_close(probs.grad, expected, rtol=1e-10, atol=1e-12)


# Distributions of other makers, more draws, more temperatures.


def test_the_distributions_of_pyro_and_nested_independence() -> None:
    logits = PROBLEMS["coupled categories"].logits
    weights = torch.arange(12.0, dtype=torch.float64).reshape(2, 2, 3)

    def f(value: Tensor) -> Tensor:
        return (value * weights).sum((-3, -2, -1)).square()

    leaf = logits.clone().requires_grad_()
    nested = Independent(Independent(OneHotCategorical(logits=leaf), 1), 1)
    of_pyro = pyro.distributions.OneHotCategorical(logits=leaf).to_event(2)
    relaxed = Independent(rt.GumbelSoftmax(1.0, logits=leaf).discrete, 2)
    gradients: list[Tensor] = []
    for distribution in (nested, of_pyro, relaxed):
        value = exact(distribution, f)
        assert value.shape == ()
        gradients += torch.autograd.grad(value, leaf, retain_graph=True)
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


def test_more_draws_are_a_larger_batch() -> None:
    problem = PROBLEMS["coupled bits"]
    logits = problem.logits.requires_grad_()
    distribution = problem.distribution(logits)
    value = disarm(distribution.expand((1000, *distribution.batch_shape)), problem.f).mean(0)
    assert value.shape == distribution.batch_shape
    value.sum().backward()
    assert logits.grad is not None
    assert logits.grad.shape == logits.shape


@each_case(
    case
    for case in DEFAULTS.values()
    if "temperature" in inspect.signature(case.function).parameters
)
def test_a_temperature_for_each_variable(case: EstimatorCase) -> None:
    """Each variable is drawn as with its own temperature alone."""
    temperatures = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    for problem in (PROBLEMS["bits"], Problem(OneHotCategorical, (3, 4), 0)):
        torch.manual_seed(5)
        together = gradient_of(
            partial(case.function, temperature=temperatures), problem, problem.logits
        )[1]
        for i, temperature in enumerate(temperatures.tolist()):
            torch.manual_seed(5)
            alone = gradient_of(
                partial(case.function, temperature=temperature), problem, problem.logits
            )[1]
            torch.testing.assert_close(together[i], alone[i])
