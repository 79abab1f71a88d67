"""Every estimator has a case, and its documentation says what the case says."""

from __future__ import annotations

import inspect
import re

import pytest
import torch
from torch import Tensor

from estimator_cases import (
    CASES,
    DEFAULTS,
    EstimatorCase,
    Problem,
    each_case,
    each_case_and_problem,
)
from relaxit_torch import estimators


def test_every_estimator_has_a_case() -> None:
    functions = {name for name, value in vars(estimators).items() if inspect.isfunction(value)}
    assert functions == set(DEFAULTS)


@each_case(DEFAULTS.values())
def test_the_documentation_says_what_one_must_know(case: EstimatorCase) -> None:
    documentation = inspect.getdoc(case.function) or ""
    description = " ".join(documentation.partition("Args:")[0].split())
    assert re.search(r"\bUnbiased\b" if case.unbiased else r"\bBiased\b", description)
    assert "Evaluations of `f`:" in description
    assert ("`f` must be differentiable" in description) == case.needs_gradient
    assert ("`f` need not be differentiable" in description) != case.needs_gradient
    for part in ["Args:", "Raises:", "Example:"]:
        assert f"\n{part}\n" in documentation, part
    for option in inspect.signature(case.function).parameters:
        assert f"\n    {option}: " in documentation, option


@each_case(case for case in DEFAULTS.values() if case.function is not estimators.exact)
def test_the_documentation_names_its_source(case: EstimatorCase) -> None:
    assert "\nReferences:\n" in (inspect.getdoc(case.function) or "")


@each_case_and_problem(CASES)
def test_f_is_evaluated_as_often_as_the_case_says(case: EstimatorCase, problem: Problem) -> None:
    evaluations = 0.0

    def f(value: Tensor) -> Tensor:
        nonlocal evaluations
        evaluations += value.numel() / problem.logits.numel()
        return problem.f(value)

    case.estimator(problem)(problem.distribution(problem.logits.requires_grad_()), f)
    assert evaluations == (case.evaluations or len(problem.states()))


@each_case_and_problem(CASES)
def test_f_must_be_differentiable_where_the_case_says_so(
    case: EstimatorCase, problem: Problem
) -> None:
    logits = problem.logits.requires_grad_()

    def estimate() -> Tensor:
        estimator = case.estimator(problem)
        return estimator(problem.distribution(logits), lambda value: problem.f(value.detach()))

    if case.needs_gradient:
        with pytest.raises(ValueError, match="f must be differentiable in the sample"):
            estimate()
    else:
        (gradient,) = torch.autograd.grad(estimate().sum(), logits)
        assert gradient.isfinite().all()
