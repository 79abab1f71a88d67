"""What estimators refuse, and how they say it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical

import relaxit_torch as rt
from relaxit_torch import estimators

BITS = Bernoulli(logits=torch.zeros(3, requires_grad=True))
CATEGORIES = OneHotCategorical(logits=torch.zeros(3, 4, requires_grad=True))
RELAXED = rt.GumbelSoftmax(1.0, logits=torch.zeros(3))


def first(value: Tensor) -> Tensor:
    return value[..., 0]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (
            lambda: estimators.exact(torch.distributions.Normal(0.0, 1.0), first),
            TypeError,
            "distribution must be a OneHotCategorical or Bernoulli, or Independent of one, "
            "but got Normal",
        ),
        (
            lambda: estimators.straight_through(
                rt.GumbelSoftmax(1.0, logits=torch.zeros(3)), first
            ),
            TypeError,
            "distribution must be a OneHotCategorical or Bernoulli",
        ),
        (
            lambda: estimators.straight_through(Bernoulli(logits=torch.zeros(3)), first),
            ValueError,
            "distribution must have logits that require a gradient, but got requires_grad=False",
        ),
        (
            lambda: estimators.exact(
                OneHotCategorical(logits=torch.tensor([0.0, -torch.inf]).requires_grad_()), first
            ),
            ValueError,
            r"logits must be finite, but got -inf at index \(1,\)",
        ),
        (
            lambda: estimators.exact(BITS, lambda bits: bits.sum()),
            ValueError,
            r"f must return a value for each batch element, of shape \(2, 3\) for samples of "
            r"shape \(2, 3\), but got shape \(\)",
        ),
        (
            lambda: estimators.exact(BITS, lambda bits: 1.0),  # type: ignore[arg-type, return-value]  # is refused
            TypeError,
            "f must return a tensor, but got 1.0",
        ),
        (
            lambda: estimators.straight_through(CATEGORIES, lambda z: z.argmax(-1)),
            ValueError,
            "f must be differentiable in the sample for this estimator",
        ),
        (
            lambda: estimators.rebar(CATEGORIES, lambda z: z.argmax(-1).float()),
            ValueError,
            "f must be differentiable in the sample for this estimator",
        ),
        (
            lambda: estimators.arm(CATEGORIES, first),
            TypeError,
            "distribution must be Bernoulli, or Independent of it, for arm, "
            "but got OneHotCategorical",
        ),
        (
            lambda: estimators.disarm(CATEGORIES, first),
            TypeError,
            "distribution must be Bernoulli, or Independent of it, for disarm",
        ),
        (
            lambda: estimators.exact(
                Independent(Bernoulli(logits=torch.zeros(20, requires_grad=True)), 1), first
            ),
            ValueError,
            r"the states of an event must be at most max_states = 65536 to be enumerated, "
            r"but got 2\^20 = 1048576",
        ),
        (
            lambda: estimators.exact(CATEGORIES, first, max_states=3),
            ValueError,
            r"at most max_states = 3 to be enumerated, but got 4\^1 = 4",
        ),
        (
            lambda: estimators.unordered_set(CATEGORIES, first, k=5),
            ValueError,
            "k must be an integer from 2 to the number of states, 4, but got 5",
        ),
        (
            lambda: estimators.unordered_set(CATEGORIES, first, k=1),
            ValueError,
            "k must be an integer from 2 to the number of states, 4, but got 1",
        ),
        (
            lambda: estimators.score_function(CATEGORIES, first, samples=0),
            ValueError,
            "samples must be an integer of at least 1, but got 0",
        ),
        (
            lambda: estimators.score_function(CATEGORIES, first, baseline="leave_one_out"),
            ValueError,
            "samples must be an integer of at least 2 for baseline='leave_one_out', but got 1",
        ),
        (
            lambda: estimators.score_function(CATEGORIES, first, baseline="mean"),  # type: ignore[arg-type]  # is refused
            ValueError,
            "baseline must be None, 'leave_one_out' or a tensor, but got 'mean'",
        ),
        (
            lambda: estimators.score_function(CATEGORIES, first, baseline=torch.zeros(2)),
            ValueError,
            r"baseline must broadcast to the batch shape \(3,\), but got shape \(2,\)",
        ),
        (
            lambda: estimators.rebar(CATEGORIES, first, scale=torch.nan),
            ValueError,
            "scale must be finite, but got nan",
        ),
        (
            lambda: estimators.rebar(CATEGORIES, first, scale=torch.ones(2)),
            ValueError,
            r"scale must broadcast to the batch shape \(3,\), but got shape \(2,\)",
        ),
        (
            lambda: estimators.reinmax(CATEGORIES, first, temperature=torch.ones(2)),
            ValueError,
            r"temperature must broadcast to the variables' shape \(3,\), but got shape \(2,\)",
        ),
        (
            lambda: estimators.gumbel_rao(CATEGORIES, first, samples=1.5),  # type: ignore[arg-type]  # is refused
            ValueError,
            "samples must be an integer of at least 1, but got 1.5",
        ),
        (
            lambda: estimators.relax(CATEGORIES, first, scale=0),
            ValueError,
            "scale must not be 0 without a control_variate, but got 0",
        ),
        (
            lambda: estimators.relax(CATEGORIES, first, control_variate=lambda scores: scores),
            ValueError,
            r"control_variate must return a value for each batch element, of shape \(3,\)",
        ),
        (
            lambda: estimators.relax(
                CATEGORIES, first, control_variate=lambda scores: torch.ones(3)
            ),
            ValueError,
            "control_variate must be differentiable in the sample for this estimator",
        ),
        *(
            (
                lambda estimator=estimator, name=name: estimator(CATEGORIES, first, **{name: -1.0}),
                ValueError,
                f"{name} must be positive and finite, but got -1.0",
            )
            for estimator, name in [
                (estimators.gumbel_softmax, "temperature"),
                (estimators.gumbel_softmax_straight_through, "temperature"),
                (estimators.gumbel_rao, "temperature"),
                (estimators.reinmax, "temperature"),
                (estimators.rebar, "temperature"),
                (estimators.decoupled_straight_through, "forward_temperature"),
                (estimators.decoupled_straight_through, "backward_temperature"),
            ]
        ),
    ],
)
def test_errors_say_what_must_hold_and_what_was_given(
    call: Callable[[], Tensor], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize(
    "estimator",
    [estimators.reinmax, estimators.gumbel_softmax, estimators.gumbel_rao, estimators.rebar],
    ids=lambda estimator: estimator.__name__,
)
@pytest.mark.parametrize("temperature", [0.0, -1.0, torch.nan])
def test_a_number_is_checked_without_validation_too(
    estimator: Callable[..., Tensor], temperature: float
) -> None:
    distribution = OneHotCategorical(logits=torch.zeros(4, requires_grad=True), validate_args=False)
    with pytest.raises(ValueError, match="temperature must be positive and finite, but got"):
        estimator(distribution, first, temperature=temperature)
