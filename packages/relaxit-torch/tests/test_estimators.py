"""Gradient estimators against enumeration, formulas, quadrature and published numbers."""

from __future__ import annotations

import inspect
import itertools
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial

import numpy as np
import pyro
import pytest
import torch
from scipy import integrate, special, stats
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

import relaxit_torch as rt
from relaxit_reference.testing.statistics import ALARM_RATE
from relaxit_torch import estimators
from relaxit_torch.estimators import (
    arm,
    decoupled_straight_through,
    disarm,
    exact,
    gumbel_rao,
    gumbel_softmax,
    gumbel_softmax_straight_through,
    rebar,
    reinmax,
    relax,
    score_function,
    straight_through,
    unordered_set,
)
from relaxit_torch.estimators.discrete import DiscreteVariable
from relaxit_torch.estimators.gumbel import perturbed_given


@dataclass(frozen=True)
class Problem:
    """A law of each kind, with a function that is not quadratic and couples what it can."""

    kind: type[Distribution]
    shape: tuple[int, ...]
    coupled: int
    """Dimensions of the batch that `Independent` makes one event."""

    @property
    def logits(self) -> Tensor:
        return self._random(1)

    @property
    def event_dim(self) -> int:
        return self.coupled + (self.kind is OneHotCategorical)

    def law(self, logits: Tensor) -> Distribution:
        base = self.kind(logits=logits)
        return Independent(base, self.coupled) if self.coupled else base

    def f(self, value: Tensor) -> Tensor:
        s = value * self._random(2).to(value.dtype)
        s = s.flatten(-self.event_dim).sum(-1) if self.event_dim else s
        return (s + 0.7) ** 3 + torch.cos(s)

    def states(self) -> Tensor:
        """All values of an event, written without the package: `(states, *event)`."""
        event = self.shape[len(self.shape) - self.event_dim :]
        if self.kind is Bernoulli:
            variables, values = event, [0.0, 1.0]
        else:
            variables, values = event[:-1], torch.eye(event[-1], dtype=torch.float64).tolist()
        count = int(np.prod(variables, dtype=int))
        rows = list(itertools.product(values, repeat=count))
        return torch.tensor(rows, dtype=torch.float64).reshape(len(rows), *event)

    def batched_states(self) -> Tensor:
        """The same for every batch element: `(states, *batch, *event)`."""
        states = self.states()
        batch = self.shape[: len(self.shape) - self.event_dim]
        states = states.reshape(len(states), *(1,) * len(batch), *states.shape[1:])
        return states.expand(len(states), *self.shape)

    def _random(self, seed: int) -> Tensor:
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.shape, generator=generator, dtype=torch.float64)


PROBLEMS = {
    "categories": Problem(OneHotCategorical, (2, 3), 0),
    "bits": Problem(Bernoulli, (3,), 0),
    "coupled categories": Problem(OneHotCategorical, (2, 2, 3), 1),
    "coupled bits": Problem(Bernoulli, (2, 3), 1),
}

each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def each_problem_of(names: Iterable[str]) -> pytest.MarkDecorator:
    """Names of estimators with the problems that they are made for."""
    pairs = [
        pytest.param(name, problem, id=f"{name}-{label}")
        for name, (label, problem) in itertools.product(names, PROBLEMS.items())
        if not ("arm" in name and problem.kind is OneHotCategorical)
        and not ("three" in name and len(problem.states()) < 3)
    ]
    return pytest.mark.parametrize(("name", "problem"), pairs)


class Critic(nn.Module):
    """A control variate of scores with parameters."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.weight = nn.Parameter(problem._random(3))
        self.event_dim = problem.event_dim

    def forward(self, scores: Tensor) -> Tensor:
        s = scores * self.weight.to(scores.dtype)
        return torch.tanh(s.flatten(-self.event_dim).sum(-1) if self.event_dim else s)


UNBIASED: dict[str, Callable[[Problem], Callable[..., Tensor]]] = {
    "score_function": lambda _: score_function,
    "score_function, several samples": lambda _: partial(score_function, samples=3),
    "score_function, leave-one-out": lambda _: partial(
        score_function, samples=3, baseline="leave_one_out"
    ),
    "score_function, learned baseline": lambda _: partial(
        score_function, baseline=torch.tensor(0.8, requires_grad=True)
    ),
    "rebar": lambda _: rebar,
    "rebar, cold, scaled": lambda _: partial(rebar, temperature=0.2, scale=-0.5),
    "relax": lambda problem: partial(relax, control_variate=Critic(problem)),
    "relax, black box": lambda problem: partial(relax, control_variate=Critic(problem), scale=0),
    "arm": lambda _: arm,
    "disarm": lambda _: disarm,
    "unordered_set": lambda _: unordered_set,
    "unordered_set, three": lambda _: partial(unordered_set, k=3),
}


def gradient_of(estimator, problem: Problem, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient, for logits with any leading dimensions."""
    leaf = logits.clone().requires_grad_()
    value = estimator(problem.law(leaf), problem.f)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def draws_of(
    estimator, problem: Problem, draws: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Values `(draws, *batch)` and gradients `(draws, *shape)`."""
    logits = problem.logits.to(dtype)
    return gradient_of(estimator, problem, logits.expand(draws, *logits.shape))


def assert_mean(drawn: Tensor, expected: Tensor, draws: int, rounding: float = 1e-12) -> None:
    """All entries of a mean at once; the alarm rate is that of one test, 10^-6."""
    limit = stats.norm.isf(ALARM_RATE / (2 * expected.numel()))
    stderr = drawn.std(0) / draws**0.5
    # The rounding of the enumeration, where an estimator has no variance.
    distance = (drawn.mean(0) - expected).abs() - rounding
    assert (distance <= limit * stderr).all(), (
        f"means {drawn.mean(0).tolist()} of {draws} draws, expected {expected.tolist()}, "
        f"standard errors {stderr.tolist()}"
    )


def given(monkeypatch: pytest.MonkeyPatch, value: Tensor) -> None:
    """Lets every estimator draw `value`."""
    monkeypatch.setattr(DiscreteVariable, "harden", lambda self, scores: value.expand_as(scores))


# The exact gradient.


@each_problem
def test_exact_is_the_sum_over_all_states(problem: Problem) -> None:
    logits = problem.logits.requires_grad_()
    law, states = problem.law(logits), problem.batched_states()
    value = exact(law, problem.f)
    assert value.shape == law.batch_shape
    expected = (law.log_prob(states).exp() * problem.f(states)).sum(0)
    torch.testing.assert_close(value, expected, rtol=1e-13, atol=1e-13)
    (found,) = torch.autograd.grad(value.sum(), logits, retain_graph=True)
    (gradient,) = torch.autograd.grad(expected.sum(), logits)
    torch.testing.assert_close(found, gradient, rtol=1e-12, atol=1e-13)


@each_problem
def test_exact_evaluates_each_state_once(problem: Problem) -> None:
    seen = []
    exact(
        problem.law(problem.logits.requires_grad_()),
        lambda value: seen.append(value) or problem.f(value),
    )
    assert torch.equal(seen[0], problem.batched_states())


# Unbiased estimators.


@each_problem_of(UNBIASED)
def test_the_mean_over_draws_is_the_exact_gradient(name: str, problem: Problem) -> None:
    # Means of so many are normal to where it matters: none of the draws is heavy-tailed. The
    # quadrature of unordered_set takes hundreds of numbers for each.
    draws = 10_000 if name.startswith("unordered") else 100_000
    value, gradient = draws_of(UNBIASED[name](problem), problem, draws)
    expected_value, expected = gradient_of(exact, problem, problem.logits)
    assert_mean(gradient, expected, draws)
    assert_mean(value, expected_value, draws)


@each_problem_of(["rebar", "unordered_set", "disarm"])
def test_float32_is_unbiased_too(name: str, problem: Problem) -> None:
    draws = 10_000
    value, gradient = draws_of(UNBIASED[name](problem), problem, draws, torch.float32)
    assert value.dtype == gradient.dtype == torch.float32
    _, expected = gradient_of(exact, problem, problem.logits)
    # Where all states are drawn there is no variance: sums of some terms of the order of 1.
    assert_mean(gradient.double(), expected, draws, rounding=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
@pytest.mark.parametrize("name", ["straight_through", "gumbel_rao", "rebar", "score_function"])
def test_half_precision_draws_what_float32_does(name: str, dtype: torch.dtype) -> None:
    """In its own ties of scores would favour the first of many categories."""
    logits = torch.zeros(500, 100, dtype=dtype)
    found = []
    for given in (logits, logits.float()):
        seen: list[Tensor] = []
        torch.manual_seed(0)
        leaf = given.clone().requires_grad_()

        def f(z: Tensor, seen: list[Tensor] = seen) -> Tensor:
            seen.append(z)
            return z @ torch.linspace(0, 1, 100, dtype=z.dtype)

        law = OneHotCategorical(logits=leaf, validate_args=False)
        getattr(estimators, name)(law, f).sum().backward()
        assert leaf.grad.isfinite().all()
        assert seen[0].dtype == given.dtype
        found.append(seen[0].detach().float())
    assert torch.equal(*found)


@each_problem
def test_estimators_for_functions_of_each_variable_are_exact_for_low_degrees(
    problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    def linear(value: Tensor) -> Tensor:  # in each variable, but not in their event
        if problem.kind is OneHotCategorical:
            value = (value * torch.arange(1.0, 4.0, dtype=torch.float64)).sum(-1)
        return value.flatten(-problem.coupled).prod(-1) if problem.coupled else value

    def quadratic(value: Tensor) -> Tensor:
        return linear(value) + linear(value**2 - 0.3 * value)

    for estimator, f in [(straight_through, linear), (reinmax, quadratic)]:
        expected, logits = expectation(estimator, problem, monkeypatch, f=f)
        value = exact(problem.law(logits), f)
        (gradient,) = torch.autograd.grad(value.sum(), logits)
        torch.testing.assert_close(expected, gradient, rtol=1e-11, atol=1e-12)


def expectation(
    estimator, problem: Problem, monkeypatch: pytest.MonkeyPatch, f=None
) -> tuple[Tensor, Tensor]:
    """The mean of an estimator that has no noise but its sample, by enumeration; and the logits."""
    states, logits = problem.batched_states(), problem.logits.requires_grad_()
    leaf = logits.detach().expand(states.shape).clone().requires_grad_()
    with monkeypatch.context() as patch:
        given(patch, states)
        value = estimator(problem.law(leaf), f or problem.f)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    probs = problem.law(logits.detach()).log_prob(states).exp()
    probs = probs.reshape(*probs.shape, *(1,) * problem.event_dim)
    return (probs * gradient).sum(0), logits


# Biased estimators, against what they are said to be.


def slope_at(problem: Problem, states: Tensor) -> Tensor:
    leaf = states.clone().requires_grad_()
    return torch.autograd.grad(problem.f(leaf).sum(), leaf)[0]


def jacobian_times(problem: Problem, probs: Tensor, slope: Tensor) -> Tensor:
    """`J(probs) slope`, of matrices that are written out."""
    if problem.kind is Bernoulli:
        return probs * (1 - probs) * slope
    matrix = torch.diag_embed(probs) - probs.unsqueeze(-1) * probs.unsqueeze(-2)
    return (matrix @ slope.unsqueeze(-1)).squeeze(-1)


def squash(problem: Problem, scores: Tensor) -> Tensor:
    return scores.sigmoid() if problem.kind is Bernoulli else scores.softmax(-1)


FORMULAS: dict[str, tuple[Callable[..., Tensor], Callable[[Problem, Tensor, Tensor], Tensor]]] = {
    "straight_through": (
        straight_through,
        lambda problem, z, slope: jacobian_times(problem, squash(problem, problem.logits), slope),
    ),
    "decoupled_straight_through": (
        partial(decoupled_straight_through, forward_temperature=0.7, backward_temperature=2.0),
        lambda problem, z, slope: (
            jacobian_times(problem, squash(problem, problem.logits / 2), slope) / 2
        ),
    ),
    **{
        f"reinmax at temperature {temperature}": (
            partial(reinmax, temperature=temperature),
            lambda problem, z, slope, temperature=temperature: (
                2
                * jacobian_times(
                    problem, (z + squash(problem, problem.logits / temperature)) / 2, slope
                )
                - jacobian_times(problem, squash(problem, problem.logits), slope) / 2
            ),
        )
        for temperature in (1.0, 2.0)
    },
}


@each_problem
@pytest.mark.parametrize("name", FORMULAS)
def test_the_estimate_at_every_sample_is_that_of_the_formula(
    name: str, problem: Problem, monkeypatch: pytest.MonkeyPatch
) -> None:
    estimator, formula = FORMULAS[name]
    states = problem.batched_states()
    expected = formula(problem, states, slope_at(problem, states))
    given(monkeypatch, states)
    value, gradient = gradient_of(estimator, problem, problem.logits.expand(states.shape))
    torch.testing.assert_close(gradient, expected, rtol=1e-12, atol=1e-13)
    assert torch.equal(value, problem.f(states)), "the value is f at the sample"


@each_problem
@pytest.mark.parametrize("name", FORMULAS)
def test_the_mean_over_draws_is_that_over_states(name: str, problem: Problem) -> None:
    estimator, formula = FORMULAS[name]
    states, draws = problem.batched_states(), 100_000
    tempered = problem.logits / (0.7 if name.startswith("decoupled") else 1)
    probs = problem.law(tempered).log_prob(states).exp()
    probs = probs.reshape(*probs.shape, *(1,) * problem.event_dim)
    expected = (probs * formula(problem, states, slope_at(problem, states))).sum(0)
    assert_mean(draws_of(estimator, problem, draws)[1], expected, draws)


def quadrature(integrand: Callable[[float], float]) -> float:
    """The mean over logistic noise."""

    def weighted(noise: float) -> float:
        return integrand(noise) * special.expit(noise) * special.expit(-noise)

    # The integrand of a hard sample jumps within, and is smooth on both sides.
    return integrate.quad(weighted, -60, 60, points=[-LOGIT, 0], limit=500, epsabs=1e-12)[0]


LOGIT, TEMPERATURE = 0.8, 0.6


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
def test_the_mean_of_a_relaxed_gradient_is_its_integral(kind, estimator, hard: bool) -> None:
    draws = 100_000
    leaf = torch.full((draws,), LOGIT, dtype=torch.float64, requires_grad=True)
    if kind is Bernoulli:
        law, f = Bernoulli(logits=leaf), one_bit
    else:  # of two categories, the first
        law = OneHotCategorical(logits=torch.stack([leaf, torch.zeros_like(leaf)], -1))
        f = lambda value: one_bit(value[..., 0])  # noqa: E731
    value = estimator(law, f, temperature=TEMPERATURE)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    expected = torch.tensor(relaxed_gradient(hard=hard), dtype=torch.float64)
    assert_mean(gradient, expected, draws)


def test_gumbel_rao_keeps_the_mean_and_takes_variance_away() -> None:
    problem, draws = PROBLEMS["coupled categories"], 20_000
    _, one = draws_of(gumbel_softmax_straight_through, problem, 100_000)
    _, many = draws_of(partial(gumbel_rao, samples=50), problem, draws)
    # The difference of two means, each of which has its error.
    error = (one.var(0) / len(one) + many.var(0) / draws).sqrt()
    limit = stats.norm.isf(ALARM_RATE / (2 * error.numel()))
    assert ((one.mean(0) - many.mean(0)).abs() <= limit * error).all()
    assert (many.var(0) < 0.9 * one.var(0)).all()


@each_problem
def test_scores_given_the_sample_have_the_law_of_all_scores(problem: Problem) -> None:
    variable, draws = DiscreteVariable.of(problem.law(problem.logits), differentiable=False), 20_000
    value = variable.sample((draws,))
    scores = perturbed_given(variable, value, 1)[0]
    assert torch.equal(variable.harden(scores), value)
    standard = stats.gumbel_r if variable.one_hot else stats.logistic
    logits = variable.logits.reshape(-1)
    for column, logit in zip(scores.reshape(draws, -1).T, logits, strict=True):
        assert stats.kstest(column.numpy() - logit.item(), standard.cdf).pvalue > ALARM_RATE


@each_problem
def test_samples_have_the_law_of_the_distribution(problem: Problem) -> None:
    law, draws = problem.law(problem.logits), 50_000
    states = problem.batched_states()
    value = DiscreteVariable.of(law, differentiable=False).sample((draws,))
    same = value.unsqueeze(1) == states
    found = (same.flatten(-problem.event_dim).all(-1) if problem.event_dim else same).sum(0)
    expected = draws * law.log_prob(states).exp()
    statistic = ((found - expected) ** 2 / expected).sum(0)
    assert (stats.chi2.sf(statistic, len(states) - 1) > ALARM_RATE).all()


# What is the same for all.

DEFAULTS: dict[str, Callable[..., Tensor]] = {
    name: value
    for name, value in vars(estimators).items()
    if inspect.isfunction(value) and not name.startswith("_")
}


def test_all_estimators_are_exported() -> None:
    assert sorted(DEFAULTS) == [
        "arm",
        "decoupled_straight_through",
        "disarm",
        "exact",
        "gumbel_rao",
        "gumbel_softmax",
        "gumbel_softmax_straight_through",
        "rebar",
        "reinmax",
        "relax",
        "score_function",
        "straight_through",
        "unordered_set",
    ]


@pytest.mark.parametrize("name", DEFAULTS)
def test_the_documentation_says_what_one_must_know(name: str) -> None:
    documentation = DEFAULTS[name].__doc__
    parts = ["iased", "Evaluations\\s+of `f`:", "differentiable", "Args:", "Example:"]
    parts += ["References:"] if name != "exact" else []
    for part in parts:
        assert re.search(part, documentation), part
    for option in inspect.signature(DEFAULTS[name]).parameters:
        assert f"\n        {option}: " in documentation, option


@each_problem_of(DEFAULTS)
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32], ids=str)
def test_value_and_gradient_keep_shape_and_dtype(
    name: str, problem: Problem, dtype: torch.dtype
) -> None:
    for leading in [(), (5,), (2, 1)]:
        logits = problem.logits.to(dtype).expand(*leading, *problem.shape).clone().requires_grad_()
        law = problem.law(logits)
        value = DEFAULTS[name](law, problem.f)
        assert value.shape == law.batch_shape
        assert value.dtype == dtype
        value.sum().backward()
        assert logits.grad.shape == logits.shape
        assert logits.grad.isfinite().all()


@each_problem_of(DEFAULTS)
def test_the_value_is_f_at_states_and_its_parameters_get_its_gradient(
    name: str, problem: Problem
) -> None:
    shift = torch.tensor(0.3, dtype=torch.float64, requires_grad=True)
    seen: list[Tensor] = []

    def f(value: Tensor) -> Tensor:
        seen.append(value.detach())
        return problem.f(value) * torch.exp(shift)

    value = DEFAULTS[name](problem.law(problem.logits.requires_grad_()), f)
    (gradient,) = torch.autograd.grad(value.sum(), shift)
    # f is proportional to exp(shift): any average of it is its own derivative. A control variate
    # that leaked into the gradient of f's parameters would show.
    torch.testing.assert_close(gradient, value.sum().detach(), rtol=1e-12, atol=1e-12)
    if name == "gumbel_softmax":
        return
    states, first = problem.batched_states(), seen[0]
    assert ((first == 0) | (first == 1)).all(), "f is called on discrete samples first"
    if name in ("exact", "unordered_set", "arm", "disarm"):
        return  # averages of several
    possible = problem.f(states) * torch.exp(shift)
    assert (value == possible).any(0).all(), "the value is exactly f of a state"


@each_problem_of(DEFAULTS)
def test_extreme_logits_give_finite_gradients(name: str, problem: Problem) -> None:
    for scale in (0.0, 1e-6, 50.0):
        logits = scale * torch.sign(problem.logits).float()
        value, gradient = gradient_of(DEFAULTS[name], problem, logits.expand(50, *logits.shape))
        assert value.isfinite().all(), scale
        assert gradient.isfinite().all(), scale


@each_problem_of(DEFAULTS)
def test_without_gradients_the_value_is_left(name: str, problem: Problem) -> None:
    with torch.no_grad():
        value = DEFAULTS[name](problem.law(problem.logits), problem.f)
    assert not value.requires_grad
    assert value.shape == problem.law(problem.logits).batch_shape


@pytest.mark.parametrize("kind", [Bernoulli, OneHotCategorical], ids=lambda kind: kind.__name__)
@pytest.mark.parametrize("name", ["exact", "straight_through", "score_function"])
def test_probabilities_get_the_gradient_through_their_logits(kind, name: str) -> None:
    def f(value: Tensor) -> Tensor:
        return value[..., 0] * 3 if kind is OneHotCategorical else value * 3

    probs = torch.tensor([0.2, 0.3, 0.5], dtype=torch.float64, requires_grad=True)
    logits = (probs.log() if kind is OneHotCategorical else probs.logit()).detach().requires_grad_()
    torch.manual_seed(1)
    DEFAULTS[name](kind(probs), f).sum().backward()
    torch.manual_seed(1)
    DEFAULTS[name](kind(logits=logits), f).sum().backward()
    if kind is Bernoulli:
        expected = logits.grad / (probs * (1 - probs)).detach()
    else:  # torch divides by the sum of the probabilities, here 1
        expected = logits.grad / probs.detach()
    torch.testing.assert_close(probs.grad, expected, rtol=1e-10, atol=1e-12)


# What estimators learn.


@each_problem
def test_learned_parameters_get_the_gradient_of_the_variance(problem: Problem) -> None:
    """Against central differences of the squared estimate, with the same noise."""
    critic = Critic(problem).double()
    at = {
        "temperature": torch.tensor(0.6, dtype=torch.float64, requires_grad=True),
        "scale": torch.tensor(0.7, dtype=torch.float64, requires_grad=True),
        "critic": critic.weight,
    }

    def squared() -> Tensor:
        torch.manual_seed(3)
        options = {name: at[name].detach().clone() for name in ("temperature", "scale")}
        estimator = partial(relax, control_variate=critic, **options)
        return gradient_of(estimator, problem, problem.logits)[1].square().sum()

    torch.manual_seed(3)
    options = {name: at[name] for name in ("temperature", "scale")}
    value = relax(
        problem.law(problem.logits.requires_grad_()),
        problem.f,
        control_variate=critic,
        **options,
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
        found = (parameter.grad * direction).sum().item()
        # Central differences: 1e-10 of the third derivative, and 1e-16 / 1e-5 of the value.
        assert found == pytest.approx(numeric, rel=1e-5, abs=1e-6), name


def test_the_gradient_of_the_variance_counts_with_the_squared_weight() -> None:
    problem = PROBLEMS["bits"]
    weights = torch.tensor([-2.0, 0.5, 0.0], dtype=torch.float64)
    found = []
    for weight in (torch.ones(3, dtype=torch.float64), weights):
        temperature = torch.full((3,), 0.5, dtype=torch.float64, requires_grad=True)
        torch.manual_seed(4)
        logits = problem.logits.requires_grad_()
        (weight * rebar(problem.law(logits), problem.f, temperature=temperature)).sum().backward()
        found.append((temperature.grad, logits.grad))
    torch.testing.assert_close(found[1][0], weights.square() * found[0][0])
    torch.testing.assert_close(found[1][1], weights * found[0][1])


@each_problem
def test_what_an_estimator_learns_is_nothing_to_the_parameters_of_f(problem: Problem) -> None:
    shift, temperature = torch.tensor([0.3, 0.6], dtype=torch.float64).requires_grad_().unbind()
    value = relax(
        problem.law(problem.logits.requires_grad_()),
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
            problem.law(logits), problem.f, temperature=log_temperature.exp(), scale=scale
        )
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()

    def variance(estimator) -> float:
        return draws_of(estimator, problem, 20_000)[1].var(0).sum().item()

    learned = {"temperature": log_temperature.exp().item(), "scale": scale.item()}
    after, before = variance(partial(rebar, **learned)), variance(score_function)
    assert after < 0.75 * before, f"{after} with {learned}, {before} of the score function"


def test_a_learned_baseline_becomes_the_mean() -> None:
    problem = PROBLEMS["bits"]
    baseline = torch.zeros(3, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([baseline], lr=0.05)
    for _ in range(500):
        logits = problem.logits.expand(50, 3).clone().requires_grad_()
        loss = -score_function(problem.law(logits), problem.f, baseline=baseline)
        optimiser.zero_grad()
        loss.mean().backward()
        optimiser.step()
    expected = exact(problem.law(problem.logits.requires_grad_()), problem.f)
    # 50 draws a step and a step of 0.05: found are 0.02.
    torch.testing.assert_close(baseline, expected, rtol=0, atol=0.15)


# Published numbers; those of the quadratic benchmark are in test_quadratic_benchmark.py.


def tied_bits(estimator, draws: int) -> Tensor:
    """Gradients with respect to the one logit of three bits, f of Yin and Zhou and Kool et al."""
    target = torch.tensor([0.6, 0.51, 0.48], dtype=torch.float64)
    logit = torch.zeros(draws, dtype=torch.float64, requires_grad=True)
    law = Independent(Bernoulli(logits=logit.unsqueeze(-1).expand(draws, 3)), 1)
    value = estimator(law, lambda bits: (bits - target).square().sum(-1))
    return torch.autograd.grad(value.sum(), logit)[0]


def test_the_exact_gradient_of_three_tied_bits() -> None:
    assert f"{tied_bits(exact, 1).item():.4f}" == "-0.0450"


def test_the_unordered_set_of_all_states_has_no_variance() -> None:
    gradients = tied_bits(partial(unordered_set, k=8), 100)
    # Ratios of quadratures, whose error is 1e-12.
    torch.testing.assert_close(gradients, torch.full_like(gradients, -0.045), rtol=0, atol=1e-12)


@pytest.mark.parametrize("k", [2, 4, 7])
def test_the_unordered_set_of_fewer_states_has_the_exact_mean(k: int) -> None:
    draws = 5_000
    gradients = tied_bits(partial(unordered_set, k=k), draws)
    assert_mean(gradients, torch.tensor(-0.045, dtype=torch.float64), draws)


# Distributions of other makers.


def test_the_distributions_of_pyro_and_nested_independence() -> None:
    logits = PROBLEMS["coupled categories"].logits
    weights = torch.arange(12.0, dtype=torch.float64).reshape(2, 2, 3)

    def f(value: Tensor) -> Tensor:
        return (value * weights).sum((-3, -2, -1)).square()

    leaf = logits.clone().requires_grad_()
    nested = Independent(Independent(OneHotCategorical(logits=leaf), 1), 1)
    pyro_law = pyro.distributions.OneHotCategorical(logits=leaf).to_event(2)
    relaxed = Independent(rt.GumbelSoftmax(1.0, logits=leaf).discrete, 2)
    gradients = []
    for law in (nested, pyro_law, relaxed):
        value = exact(law, f)
        assert value.shape == ()
        gradients += torch.autograd.grad(value, leaf, retain_graph=True)
    torch.testing.assert_close(gradients[1], gradients[0])
    torch.testing.assert_close(gradients[2], gradients[0])


def test_more_draws_are_a_larger_batch() -> None:
    problem = PROBLEMS["coupled bits"]
    logits = problem.logits.requires_grad_()
    law = problem.law(logits)
    value = disarm(law.expand((1000, *law.batch_shape)), problem.f).mean(0)
    assert value.shape == law.batch_shape
    value.sum().backward()
    assert logits.grad.shape == logits.shape


@pytest.mark.parametrize(
    "name", [n for n in DEFAULTS if "temperature" in inspect.signature(DEFAULTS[n]).parameters]
)
def test_a_temperature_for_each_variable(name: str) -> None:
    """Of the batch shape of the variables: each draw is as with its own number."""
    temperatures = torch.tensor([0.5, 1.0, 2.0], dtype=torch.float64)
    for problem in (PROBLEMS["bits"], Problem(OneHotCategorical, (3, 4), 0)):
        torch.manual_seed(5)
        together = gradient_of(
            partial(DEFAULTS[name], temperature=temperatures), problem, problem.logits
        )[1]
        for i, temperature in enumerate(temperatures.tolist()):
            torch.manual_seed(5)
            alone = gradient_of(
                partial(DEFAULTS[name], temperature=temperature), problem, problem.logits
            )[1]
            torch.testing.assert_close(together[i], alone[i])
