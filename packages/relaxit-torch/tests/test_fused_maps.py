"""Backward passes that are written by hand: two derivatives, in `torch.func`, and when compiled."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from torch.func import grad, vmap

from relaxit_torch.distributions import rows
from relaxit_torch.numerics import fused_maps, special, straight_through, top_k

torch.manual_seed(0)
LOGITS = torch.randn(4, 5, dtype=torch.float64)
UNIFORM = torch.rand(5, dtype=torch.float64)
FACTOR = torch.linalg.cholesky(torch.eye(5, dtype=torch.float64) + 0.5)
LOW, HIGH = torch.tensor(-0.1, dtype=torch.float64), torch.tensor(1.1, dtype=torch.float64)


def top(score: torch.Tensor) -> torch.Tensor:
    return rows.sum_of_softmaxes(score, top_k.greatest(score, 3))


FUNCTIONS = {
    "clip": (fused_maps.clip, (2 * LOGITS,)),
    "hard sigmoid of numbers": (lambda x: fused_maps.hard_sigmoid(x, -0.1, 1.1), (3 * LOGITS,)),
    "hard sigmoid at a temperature": (
        lambda x: fused_maps.hard_sigmoid(x, -0.1, 1.1, 0.4),
        (3 * LOGITS,),
    ),
    "hard sigmoid of tensors": (fused_maps.hard_sigmoid, (3 * LOGITS, LOW, HIGH)),
    "hard sigmoid of both": (lambda x, low: fused_maps.hard_sigmoid(x, low, 1.1), (LOGITS, LOW)),
    "gate of a root": (lambda p: fused_maps.gate_of_root(p, UNIFORM), (LOGITS.sigmoid(),)),
    "gate of a root of logits": (lambda x: fused_maps.gate_of_root_sigmoid(x, UNIFORM), (LOGITS,)),
    "coupled logistic": (
        lambda x, factor: fused_maps.coupled_logistic(factor, x),
        (LOGITS, FACTOR),
    ),
    "coupled logistic in the tails": (
        lambda x: fused_maps.coupled_logistic(12 * torch.eye(5, dtype=x.dtype), x),
        (LOGITS,),
    ),
    "sum of softmaxes": (top, (3 * LOGITS,)),
    "sum of all softmaxes": (
        lambda x: rows.sum_of_softmaxes(x, top_k.greatest(x, 5)),
        (3 * LOGITS,),
    ),
}


@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_two_derivatives_are_those_of_finite_differences(function, inputs) -> None:
    leaves = [x.clone().requires_grad_() for x in inputs]
    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_functional_transforms_give_values_and_both_derivatives(function, inputs) -> None:
    scores, *others = (x.clone().requires_grad_() for x in inputs)
    mapped = vmap(function, (0, *(None for _ in others)))(scores, *others)
    torch.testing.assert_close(mapped, function(scores, *others))

    def weighted(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return (function(x, *rest) * torch.linspace(1, 2, 5, dtype=x.dtype)).sum()

    def slope(x: torch.Tensor, *rest: torch.Tensor) -> torch.Tensor:
        return grad(weighted)(x, *rest).square().sum()

    for of in (weighted, slope):
        found = vmap(grad(of), (0, *(None for _ in others)))(scores, *others)
        for i in range(len(scores)):
            row = scores[i].detach().clone().requires_grad_()
            value = weighted(row, *others)
            (expected,) = torch.autograd.grad(value, row, create_graph=True)
            if of is slope and not expected.requires_grad:  # of a function of straight pieces
                expected = torch.zeros_like(expected)
            elif of is slope:
                (expected,) = torch.autograd.grad(expected.square().sum(), row)
            torch.testing.assert_close(found[i], expected)


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize(("function", "inputs"), FUNCTIONS.values(), ids=FUNCTIONS)
def test_compiled_functions_give_values_and_gradients(function, inputs) -> None:
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    leaves = [x.clone().requires_grad_() for x in inputs]
    found, expected = compiled(*leaves), function(*leaves)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), leaves),
        torch.autograd.grad(expected.square().sum(), leaves),
    )


def one_hot_by_steps(score: torch.Tensor) -> torch.Tensor:
    hard = torch.zeros_like(score).scatter(-1, score.argmax(-1, keepdim=True), 1.0)
    return straight_through.straight_through(hard, torch.softmax(score, -1))


def positive_by_steps(score: torch.Tensor) -> torch.Tensor:
    return straight_through.straight_through((score > 0).to(score.dtype), torch.sigmoid(score))


def bernoulli_by_steps(score: torch.Tensor) -> torch.Tensor:
    soft = torch.sigmoid(score)
    return straight_through.straight_through((soft > UNIFORM).to(score.dtype), soft)


STRAIGHT_THROUGH = {
    "one-hot": (straight_through.one_hot, one_hot_by_steps),
    "positive": (straight_through.positive, positive_by_steps),
    "Bernoulli": (
        lambda score: straight_through.bernoulli(score.sigmoid(), UNIFORM),
        bernoulli_by_steps,
    ),
}


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize(
    ("function", "by_steps"), STRAIGHT_THROUGH.values(), ids=list(STRAIGHT_THROUGH)
)
def test_hard_values_and_soft_derivatives_are_those_of_two_steps(function, by_steps) -> None:
    compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
    assert torch.equal(function(LOGITS), by_steps(LOGITS))
    assert torch.equal(vmap(function)(LOGITS), by_steps(LOGITS))
    assert torch.equal(compiled(LOGITS), by_steps(LOGITS))

    def slope(of):
        return grad(lambda x: (of(x) * torch.linspace(1, 2, 5, dtype=x.dtype)).sum())

    def bend(of):
        return grad(lambda x: slope(of)(x).square().sum())

    torch.testing.assert_close(slope(function)(LOGITS), slope(by_steps)(LOGITS))
    torch.testing.assert_close(bend(function)(LOGITS), bend(by_steps)(LOGITS))
    torch.testing.assert_close(vmap(bend(function))(LOGITS), vmap(bend(by_steps))(LOGITS))
    leaf = LOGITS.clone().requires_grad_()
    weights = torch.randn_like(LOGITS)
    torch.testing.assert_close(
        torch.autograd.grad(compiled(leaf), leaf, weights),
        torch.autograd.grad(by_steps(leaf), leaf, weights),
    )


def test_the_sum_of_softmaxes_is_that_of_the_rows_at_every_spread() -> None:
    for spread in (0.1, 10.0, 1e4):
        score = (spread * LOGITS).requires_grad_()
        every = torch.softmax(
            rows.without_earlier_choices(score.unsqueeze(-2).expand(4, 3, 5)), -1
        ).sum(-2)
        torch.testing.assert_close(top(score), every)
        weights = torch.randn(4, 5, dtype=torch.float64)
        torch.testing.assert_close(
            torch.autograd.grad(top(score), score, weights),
            torch.autograd.grad(every, score, weights),
            rtol=1e-9,
            atol=1e-15 * max(1.0, 10 * spread),  # some ulps of a score
        )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_logistic_of_a_normal_is_precise_in_the_tails(dtype) -> None:
    sizes = np.concatenate([np.logspace(-12, 0, 40) * size for size in (1, 12, 36, 1e4)])
    x = torch.tensor(
        np.concatenate([-sizes, [0.0, 0.99, 1.01, 11.99, 12.01, 35.99, 36.01], sizes]), dtype=dtype
    )
    with mpmath.workdps(50):
        expected = [
            float(mpmath.log(mpmath.ncdf(v)) - mpmath.log(mpmath.ncdf(-v))) if abs(v) < 50 else 0.0
            for v in map(mpmath.mpf, x.tolist())
        ]
    expected = np.where(x.abs() < 50, expected, special.logit_ndtr(x).double())
    found = fused_maps.normal_to_logistic(x)
    # It is added to log-odds. Around 0 it is four times the error of a probability of 1/2, which
    # `erfc`, two products and the logit round: as that of the logistic noise of other classes.
    ulp = torch.finfo(dtype).eps
    np.testing.assert_allclose(found.double(), expected, rtol=4 * ulp, atol=4 * ulp)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_slope_of_the_logistic_of_a_normal_is_precise_in_the_tails(dtype) -> None:
    x = torch.tensor([0.0, 1e-3, 0.5, 3.0, 11.9, 12.1, 13.0, 17.0, 30.0, 36.1, 40.0, 1e3])
    x = x.to(dtype)
    with mpmath.workdps(50):
        expected = [
            float(mpmath.npdf(v) / (mpmath.ncdf(v) * mpmath.ncdf(-v)))
            for v in map(mpmath.mpf, x.tolist())
        ]
    # The exponential and erfc up to the end round arguments of up to end^2 / 2; in float32 the
    # tail is cut after one term, of which the slope errs by 8 ulps where the value does by one.
    end = {torch.float32: 12.0, torch.float64: 36.0}[dtype]
    ulps = 10 + x.double().clamp(max=end).square().numpy()
    found = fused_maps.slope_of_logistic(x).double().numpy()
    errors = np.abs(found / np.array(expected) - 1) / torch.finfo(dtype).eps
    assert (errors < ulps).all(), errors


def test_the_logistic_of_a_normal_is_finite_everywhere() -> None:
    x = torch.tensor([1e30, -1e30, torch.inf, -torch.inf])
    assert fused_maps.normal_to_logistic(x).isfinite().all()


@pytest.mark.usefixtures("fresh_compiler")
@pytest.mark.parametrize("mode", ["eager", "compiled"])
def test_a_value_at_the_edge_of_the_clip_moves_with_the_score(mode: str) -> None:
    clip = torch.compile(fused_maps.clip, fullgraph=True) if mode == "compiled" else fused_maps.clip
    score = torch.tensor([-torch.inf, -0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    for weight in (1.0, -2.0, torch.inf):
        weights = torch.full_like(score, weight)
        (gradient,) = torch.autograd.grad(clip(score), score, weights)
        assert gradient.tolist() == [0, 0, weight, weight, weight, 0]
