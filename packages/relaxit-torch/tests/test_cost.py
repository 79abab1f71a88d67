"""Kernels and bytes of a sampler, which carry over to a GPU and must not creep up. Never times."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from measuring import Kernels, cost
from torch import Tensor

import relaxit_torch as rt

BATCH, CATEGORIES = 8, 1000


@dataclass(frozen=True)
class Case:
    """Sampler, the shapes of its parameters, and what one forward and backward pass may cost."""

    make: Callable[..., rt.RelaxedDistribution]
    kernels: tuple[int, int]
    saved: float  # bytes for each entry of the sample, in float32
    shapes: tuple[tuple[int, ...], ...] = ((BATCH, CATEGORIES),)
    fixed: tuple[int, ...] = ()  # which of the parameters ask for no gradient
    options: dict[str, Any] = field(default_factory=dict)


def logits(distribution: Callable[..., Any], *first: Any, **options: Any) -> Callable[..., Any]:
    return lambda x: distribution(*first, logits=x, validate_args=False, **options)


def gaussian(loc: Tensor, scale: float | Tensor = 0.5) -> rt.GaussianRelaxedBernoulli:
    return rt.GaussianRelaxedBernoulli(loc, scale, validate_args=False)


def invertible(loc: Tensor, scale: Tensor) -> rt.InvertibleGaussian:
    return rt.InvertibleGaussian(0.5, loc, scale, validate_args=False)


def logistic_normal(loc: Tensor, scale: Tensor) -> rt.LogisticNormalSoftmax:
    return rt.LogisticNormalSoftmax(loc, scale, validate_args=False)


def correlated(x: Tensor, factor: Tensor) -> rt.CorrelatedRelaxedBernoulli:
    return rt.CorrelatedRelaxedBernoulli(
        0.5, logits=x, correlation_cholesky=factor, validate_args=False
    )


TWO = ((BATCH, CATEGORIES), (BATCH, CATEGORIES))
COUPLED = ((1000, 16), (16, 16))

# Fewer kernels are not the aim, but less time and memory. Two kinds of sampler take one kernel more
# than they might:
# - The backward pass of hard samples takes the softmax or sigmoid, which the forward pass then has
#   no use for: it only finds the argmax or the sign. They keep as many bytes, and take one kernel
#   more backward, but three or two fewer forward.
# - GaussianRelaxedBernoulli finds the clipped entries as those where the difference of score and
#   value is not 0. This subtraction and the conversion to booleans are vectorised on a CPU, where
#   the single comparison is not, and takes ten times as long. Either way one byte for each is kept.
CASES = {
    "GumbelSoftmax": Case(logits(rt.GumbelSoftmax, 0.5), (12, 2), 4),
    "GumbelSoftmax, hard": Case(logits(rt.GumbelSoftmax, 0.5, hard=True), (14, 3), 4),
    "BinaryConcrete": Case(logits(rt.BinaryConcrete, 0.5), (10, 2), 4),
    "BinaryConcrete, hard": Case(logits(rt.BinaryConcrete, 0.5, hard=True), (12, 3), 4),
    "LogitBinaryConcrete": Case(logits(rt.LogitBinaryConcrete, 0.5), (9, 1), 0),
    "HardConcrete": Case(logits(rt.HardConcrete), (13, 6), 4),
    "StraightThroughBernoulli": Case(logits(rt.StraightThroughBernoulli), (9, 1), 4),
    "StochasticTimesSmooth": Case(logits(rt.StochasticTimesSmooth), (9, 4), 4),
    "StochasticTimesSmooth, probs": Case(
        lambda x: rt.StochasticTimesSmooth(probs=x.sigmoid(), validate_args=False), (9, 5), 8
    ),
    "GaussianRelaxedBernoulli": Case(gaussian, (5, 2), 1),
    "GaussianRelaxedBernoulli, learned scale": Case(gaussian, (6, 3), 5, TWO),
    "InvertibleGaussian": Case(invertible, (7, 3), 8, TWO),
    "InvertibleGaussian, fixed scale": Case(invertible, (7, 2), 4, TWO, (1,)),
    "LogisticNormalSoftmax": Case(logistic_normal, (4, 2), 8, TWO),
    "LogisticNormalSoftmax, fixed scale": Case(logistic_normal, (4, 1), 4, TWO, (1,)),
    "CorrelatedRelaxedBernoulli": Case(correlated, (38, 2), 4, COUPLED, (1,)),
    "CorrelatedRelaxedBernoulli, learned matrix": Case(correlated, (38, 35), 8, COUPLED),
}


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_a_sample_costs_no_more_kernels_and_bytes(case: Case) -> None:
    leaves = [
        torch.eye(*shape) if shape[0] == shape[1] else torch.rand(shape) for shape in case.shapes
    ]
    for i, leaf in enumerate(leaves):
        leaf.requires_grad_(i not in case.fixed)
    found = cost(lambda *given: case.make(*given).rsample(), leaves)
    assert found["saved_bytes"] <= case.saved
    assert found["kernels_forward"] <= case.kernels[0]
    assert found["kernels_backward"] <= case.kernels[1]


def test_khot_vectors_cost_no_more_kernels_and_bytes_whatever_k_is() -> None:
    found = {}
    for k in (2, 10, 100):
        leaf = torch.randn(BATCH, 10_000, requires_grad=True)

        def sample(x: Tensor, k: int = k) -> Tensor:
            top_k = rt.GumbelSoftmaxTopK(k, 0.5, logits=x, validate_args=False)
            return top_k.rsample_khot()

        found[k] = cost(sample, [leaf])
        # Scores and result; of the drawn categories indices and sums.
        assert found[k]["saved_bytes"] <= 8 + 40 * k / 10_000
        assert found[k]["kernels_forward"] <= 59
        assert found[k]["kernels_backward"] <= 50
    assert found[2]["kernels_backward"] == found[100]["kernels_backward"]


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_construction_without_validation_launches_nothing(case: Case) -> None:
    leaves = [torch.rand(shape) for shape in case.shapes]
    with Kernels() as kernels:
        made = case.make(*leaves)
    derived = ["sigmoid"] if "probs" in vars(made) else []  # of the case itself
    assert kernels.names == derived


def test_the_log_density_takes_one_lgamma_of_each_row_at_most() -> None:
    top_k = rt.GumbelSoftmaxTopK(2, 0.5, logits=torch.randn(BATCH, 10), validate_args=False)
    value = top_k.sample()
    for distribution in (rt.GumbelSoftmax(0.5, logits=top_k.logits, validate_args=False), top_k):
        drawn = value[..., 0, :] if distribution is not top_k else value
        with Kernels() as kernels:
            distribution.log_prob(drawn)
        full = [name for name in kernels.names if name == "lgamma"]
        # Of the number of possible categories, which each row may have its own: not of all entries.
        assert len(full) <= 1
