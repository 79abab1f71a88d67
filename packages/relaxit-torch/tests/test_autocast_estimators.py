"""A caller's autocast lowers the matrix products of `f`, and nothing in an estimator."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from relaxit_torch import estimators

ESTIMATORS = {name: f for name, f in vars(estimators).items() if inspect.isfunction(f)}
BINARY_ONLY = {"arm", "disarm"}
WEIGHTS = torch.tensor([1.0, -0.37, 2.11, 0.73])


def bits(logits: Tensor) -> Distribution:
    return Independent(Bernoulli(logits=logits), 2)


def categories(logits: Tensor) -> Distribution:
    return Independent(OneHotCategorical(logits=logits), 1)


def elementwise(value: Tensor) -> Tensor:
    score = (value * WEIGHTS).sum((-1, -2))
    return score.square() + score.cos()


each_dtype = pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
each_estimator_and_variable = pytest.mark.parametrize(
    ("name", "family"),
    [
        pytest.param(name, family, id=f"{name}-{family.__name__}")
        for name in ESTIMATORS
        for family in ([bits] if name in BINARY_ONLY else [bits, categories])
    ],
)


@each_estimator_and_variable
@each_dtype
def test_value_and_gradient_are_those_without_autocast(name: str, family, dtype) -> None:
    def value_and_gradient(enabled: bool) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        logits = torch.randn(5, 2, 4).requires_grad_()
        with torch.autocast("cpu", dtype, enabled=enabled):
            value = ESTIMATORS[name](family(logits), elementwise)
            value.sum().backward()  # inside, as many training loops have it
        assert logits.grad is not None
        return value.detach(), logits.grad

    for found, expected in zip(value_and_gradient(True), value_and_gradient(False), strict=True):
        assert found.dtype == expected.dtype
        assert torch.equal(found, expected)


@each_estimator_and_variable
@each_dtype
def test_f_runs_under_the_autocast_of_the_caller(name: str, family, dtype) -> None:
    dtypes = set()

    def product(value: Tensor) -> Tensor:
        found = (value @ WEIGHTS).sum(-1)
        dtypes.add(found.dtype)
        return found

    logits = torch.randn(5, 2, 4).requires_grad_()
    with torch.autocast("cpu", dtype):
        value = ESTIMATORS[name](family(logits), product)
    value.sum().backward()
    assert dtypes == {dtype}
    assert logits.grad is not None
    assert logits.grad.isfinite().all()
