"""Estimators as data, the problems they are tested on, and how their gradients are drawn."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from relaxit_reference.testing.statistics import ALARM_RATE
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

Estimator = Callable[..., Tensor]
"""A function of a distribution and of `f`."""


@dataclass(frozen=True)
class Problem:
    """A discrete distribution, with an `f` that is not quadratic and couples the variables."""

    kind: type[Bernoulli | OneHotCategorical]
    shape: tuple[int, ...]
    coupled: int
    """Dimensions of the batch that `Independent` makes one event."""

    @property
    def logits(self) -> Tensor:
        return self.random(1)

    @property
    def event_dim(self) -> int:
        return self.coupled + (self.kind is OneHotCategorical)

    def distribution(self, logits: Tensor) -> Distribution:
        base = self.kind(logits=logits)
        return Independent(base, self.coupled) if self.coupled else base

    def f(self, value: Tensor) -> Tensor:
        s = value * self.random(2).to(value.dtype)
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
        """The same states for every batch element: `(states, *batch, *event)`."""
        states = self.states()
        batch = self.shape[: len(self.shape) - self.event_dim]
        states = states.reshape(len(states), *(1,) * len(batch), *states.shape[1:])
        return states.expand(len(states), *self.shape)

    def random(self, seed: int) -> Tensor:
        """Normal numbers of the shape of the logits."""
        generator = torch.Generator().manual_seed(seed)
        return torch.randn(self.shape, generator=generator, dtype=torch.float64)


PROBLEMS = {
    "categories": Problem(OneHotCategorical, (2, 3), 0),
    "bits": Problem(Bernoulli, (3,), 0),
    "coupled categories": Problem(OneHotCategorical, (2, 2, 3), 1),
    "coupled bits": Problem(Bernoulli, (2, 3), 1),
}


class Critic(nn.Module):
    """A control variate of scores, with a parameter."""

    def __init__(self, problem: Problem) -> None:
        super().__init__()
        self.weight = nn.Parameter(problem.random(3))
        self.event_dim = problem.event_dim

    def forward(self, scores: Tensor) -> Tensor:
        s = scores * self.weight.to(scores.dtype)
        return torch.tanh(s.flatten(-self.event_dim).sum(-1) if self.event_dim else s)


@dataclass(frozen=True)
class EstimatorCase:
    """An estimator with options, and what its documentation says about it."""

    function: Estimator
    unbiased: bool
    needs_gradient: bool
    """Whether `f` must be differentiable."""
    evaluations: int | None
    """On how many values `f` is evaluated, or None for all states of an event."""
    value: Literal["at a state", "average over states", "at a relaxed sample"] = "at a state"
    """Where the value of the estimate is `f`."""
    variant: str = ""
    """What the options are, or nothing for the defaults."""
    options: Mapping[str, Any] = field(default_factory=dict)
    critic: bool = False
    """Whether a `Critic` is its control variate."""
    kinds: tuple[type[Distribution], ...] = (Bernoulli, OneHotCategorical)
    least_states: int = 2
    """How many states an event must have at least."""
    draws: int = 100_000
    """Draws for the test of its mean."""

    def __str__(self) -> str:
        name = self.function.__name__
        return f"{name}, {self.variant}" if self.variant else name

    def estimator(self, problem: Problem) -> Estimator:
        """The function with its options, for a problem."""
        options = dict(self.options)
        if self.critic:
            options["control_variate"] = Critic(problem)
        return partial(self.function, **options)

    def fits(self, problem: Problem) -> bool:
        return problem.kind in self.kinds and len(problem.states()) >= self.least_states


def biased(function: Estimator, **what: Any) -> EstimatorCase:
    """An estimator that differentiates `f` at one sample."""
    return EstimatorCase(function, unbiased=False, needs_gradient=True, evaluations=1, **what)


def unbiased(
    function: Estimator, evaluations: int | None, *, needs_gradient: bool = False, **what: Any
) -> EstimatorCase:
    return EstimatorCase(
        function, unbiased=True, needs_gradient=needs_gradient, evaluations=evaluations, **what
    )


DEFAULTS = {
    case.function.__name__: case
    for case in [
        biased(straight_through),
        biased(decoupled_straight_through),
        biased(reinmax),
        biased(gumbel_softmax, value="at a relaxed sample"),
        biased(gumbel_softmax_straight_through),
        biased(gumbel_rao),
        unbiased(exact, None, value="average over states"),
        unbiased(score_function, 1),
        unbiased(rebar, 2, needs_gradient=True),
        unbiased(relax, 2, needs_gradient=True),
        unbiased(arm, 2, value="average over states", kinds=(Bernoulli,)),
        unbiased(disarm, 2, value="average over states", kinds=(Bernoulli,)),
        # The quadrature of `unordered_set` takes hundreds of numbers for each draw.
        unbiased(unordered_set, 2, value="average over states", draws=10_000),
    ]
}
"""Every estimator, with its default options."""

VARIANTS = [
    unbiased(
        score_function,
        3,
        value="average over states",
        variant="several samples",
        options={"samples": 3},
    ),
    unbiased(
        score_function,
        3,
        value="average over states",
        variant="leave-one-out",
        options={"samples": 3, "baseline": "leave_one_out"},
    ),
    unbiased(
        score_function,
        1,
        variant="learned baseline",
        options={"baseline": torch.tensor(0.8, requires_grad=True)},
    ),
    unbiased(
        rebar,
        2,
        needs_gradient=True,
        variant="cold, scaled",
        options={"temperature": 0.2, "scale": -0.5},
    ),
    unbiased(relax, 2, needs_gradient=True, variant="control variate", critic=True),
    unbiased(relax, 1, variant="black box", critic=True, options={"scale": 0}),
    unbiased(
        unordered_set,
        3,
        value="average over states",
        variant="three",
        options={"k": 3},
        least_states=3,
        draws=10_000,
    ),
]
"""Estimators with other options."""

CASES = [*DEFAULTS.values(), *VARIANTS]

each_problem = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS)


def each_case(cases: Iterable[EstimatorCase]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", [*cases], ids=str)


def each_case_and_problem(cases: Iterable[EstimatorCase]) -> pytest.MarkDecorator:
    """Each case, with each problem that it fits."""
    pairs = [
        pytest.param(case, problem, id=f"{case}-{label}")
        for case, (label, problem) in itertools.product(cases, PROBLEMS.items())
        if case.fits(problem)
    ]
    return pytest.mark.parametrize(("case", "problem"), pairs)


def gradient_of(estimator: Estimator, problem: Problem, logits: Tensor) -> tuple[Tensor, Tensor]:
    """Value and gradient, for logits with any leading dimensions."""
    leaf = logits.clone().requires_grad_()
    value = estimator(problem.distribution(leaf), problem.f)
    (gradient,) = torch.autograd.grad(value.sum(), leaf)
    return value.detach(), gradient


def draws_of(
    estimator: Estimator, problem: Problem, draws: int, dtype: torch.dtype = torch.float64
) -> tuple[Tensor, Tensor]:
    """Values `(draws, *batch)` and gradients `(draws, *shape)`."""
    logits = problem.logits.to(dtype)
    return gradient_of(estimator, problem, logits.expand(draws, *logits.shape))


def assert_mean(drawn: Tensor, expected: Tensor, rounding: float = 1e-12) -> None:
    """Compares all entries of a mean at once. The alarm rate is the rate of one test, 10^-6."""
    limit = stats.norm.isf(ALARM_RATE / (2 * expected.numel()))
    stderr = drawn.std(0) / len(drawn) ** 0.5
    # An estimator without variance still differs from the enumeration by rounding.
    distance = (drawn.mean(0) - expected).abs() - rounding
    assert (distance <= limit * stderr).all(), (
        f"means {drawn.mean(0).tolist()} of {len(drawn)} draws, expected {expected.tolist()}, "
        f"standard errors {stderr.tolist()}"
    )


def always_draw(monkeypatch: pytest.MonkeyPatch, value: Tensor) -> None:
    """Lets every estimator draw `value`."""
    monkeypatch.setattr(DiscreteVariable, "harden", lambda self, scores: value.expand_as(scores))
