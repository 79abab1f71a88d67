"""Shortcuts of eager code against their plain twins, in every mode of torch."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from kernels import COMPARISONS, Comparison, scores_in_order
from torch.autograd import forward_ad

import relaxit_torch as rt
from relaxit_torch.distributions.rows import without_earlier_choices
from relaxit_torch.numerics import kernels, normal
from relaxit_torch.numerics.top_k import sum_of_softmaxes

DIFFERENTIABLE = {name: c for name, c in COMPARISONS.items() if c.differentiable}
RANDOM = "random integers"


def every(comparisons: dict[str, Comparison]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("comparison", comparisons.values(), ids=comparisons)


def inputs_and_leaves(comparison: Comparison, rows: int = 4, columns: int = 5):
    torch.manual_seed(0)
    inputs = list(comparison.inputs(rows, columns, torch.float64))
    for i in comparison.differentiable:
        inputs[i].requires_grad_()
    return inputs, [inputs[i] for i in comparison.differentiable]


def subclasses(kind: type) -> set[type]:
    return {kind}.union(*map(subclasses, kind.__subclasses__()))


def test_every_shortcut_is_compared() -> None:
    # A test may have subclasses of its own.
    known = {x for x in subclasses(kernels.Shortcut) if x.__module__.startswith("relaxit_torch")}
    assert known - {kernels.Shortcut, kernels.Kernel} == {c.shortcut for c in COMPARISONS.values()}


@every({name: c for name, c in COMPARISONS.items() if name != RANDOM})
def test_values_are_those_of_the_twin(comparison: Comparison) -> None:
    inputs, _ = inputs_and_leaves(comparison)
    torch.testing.assert_close(
        comparison.shortcut.apply(*inputs), comparison.shortcut.plain(*inputs)
    )


@every(DIFFERENTIABLE)
def test_gradients_are_those_of_the_twin(comparison: Comparison) -> None:
    inputs, leaves = inputs_and_leaves(comparison)
    fast, plain = comparison.shortcut.apply(*inputs), comparison.shortcut.plain(*inputs)
    weights = torch.linspace(1, 2, fast.numel(), dtype=fast.dtype).reshape(fast.shape)
    found = torch.autograd.grad(fast, leaves, weights, create_graph=True)
    expected = torch.autograd.grad(plain, leaves, weights, create_graph=True)
    torch.testing.assert_close(found, expected)
    bends = [
        (g.square().sum()) for g in (sum(x.sum() for x in found), sum(x.sum() for x in expected))
    ]
    if bends[1].requires_grad:
        second = [torch.autograd.grad(b, leaves, materialize_grads=True) for b in bends]
        torch.testing.assert_close(*second)


SMOOTH = {n: c for n, c in DIFFERENTIABLE.items() if n not in ("bernoulli", "positive", "one-hot")}


@every(SMOOTH)
def test_two_derivatives_are_those_of_finite_differences(comparison: Comparison) -> None:
    inputs, leaves = inputs_and_leaves(comparison)

    def function(*changed):
        given = list(inputs)
        for i, x in zip(comparison.differentiable, changed, strict=True):
            given[i] = x
        return comparison.shortcut.apply(*given)

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


def spy(monkeypatch: pytest.MonkeyPatch, comparison: Comparison) -> list[str]:
    """Which way is taken, as `apply` and `plain`, in the order of calls."""
    taken: list[str] = []
    plain, shortcut = comparison.shortcut.plain, comparison.shortcut

    def noted(*inputs):
        taken.append("plain")
        return plain(*inputs)

    monkeypatch.setattr(shortcut, "plain", staticmethod(noted))
    return taken


@every(COMPARISONS)
def test_plain_eager_code_takes_the_shortcut(comparison, monkeypatch) -> None:
    inputs, _ = inputs_and_leaves(comparison)
    taken = spy(monkeypatch, comparison)
    found = comparison.shortcut.call(*inputs)
    assert not taken
    if comparison.differentiable:
        assert type(found.grad_fn).__name__ == f"{comparison.shortcut.__name__}Backward"


MODES = {
    "vmap": lambda f, x: torch.func.vmap(lambda y: f(y).sum(), randomness="different")(
        x.expand(2, *x.shape)
    ),
    "grad": lambda f, x: torch.func.grad(lambda y: f(y).sum() + y.sum())(x),
    "jacfwd": lambda f, x: torch.func.jacfwd(
        lambda y: f(y).sum() + y.sum(), randomness="different"
    )(x),
    "trace": lambda f, x: torch.jit.trace(f, (x,), check_trace=False)(x),
    "functionalize": lambda f, x: torch.func.functionalize(f)(x),
}


@pytest.mark.filterwarnings("ignore:`torch.jit.(script|trace)` is deprecated")
@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@every({name: c for name, c in COMPARISONS.items() if name != "widened"})
def test_other_modes_take_the_twin(comparison, mode, monkeypatch) -> None:
    inputs, _ = inputs_and_leaves(comparison)
    inputs = [x.detach() if isinstance(x, torch.Tensor) else x for x in inputs]
    place = comparison.differentiable[0] if comparison.differentiable else 0
    is_random = not isinstance(inputs[place], torch.Tensor)
    taken = spy(monkeypatch, comparison)

    def function(x):
        if is_random:
            return comparison.shortcut.call(*inputs) + x
        return comparison.shortcut.call(*inputs[:place], x, *inputs[place + 1 :])

    found = mode(function, torch.zeros(4, 5) if is_random else inputs[place])
    assert taken
    assert found.isfinite().all()


@pytest.mark.usefixtures("fresh_compiler")
@every(DIFFERENTIABLE)
def test_compiled_functions_give_values_and_gradients(comparison: Comparison) -> None:
    inputs, leaves = inputs_and_leaves(comparison)
    compiled = torch.compile(comparison.shortcut.call, fullgraph=True, backend="aot_eager")
    found, expected = compiled(*inputs), comparison.shortcut.call(*inputs)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found.square().sum(), leaves),
        torch.autograd.grad(expected.square().sum(), leaves),
    )


# Forward mode loads torch/_decomp/decompositions_for_jvp.py, which scripts its functions.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@every(DIFFERENTIABLE)
def test_dual_numbers_have_the_derivative_of_the_twin(comparison: Comparison) -> None:
    inputs, _ = inputs_and_leaves(comparison)
    inputs = [x.detach() if isinstance(x, torch.Tensor) else x for x in inputs]
    with forward_ad.dual_level():
        for i in comparison.differentiable:
            inputs[i] = forward_ad.make_dual(inputs[i], torch.ones_like(inputs[i]))
        found = forward_ad.unpack_dual(comparison.shortcut.call(*inputs)).tangent
        expected = forward_ad.unpack_dual(comparison.shortcut.plain(*inputs)).tangent
    torch.testing.assert_close(found, expected)


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated")
@pytest.mark.parametrize("family", [rt.GumbelSoftmax, rt.BinaryConcrete, rt.LogitBinaryConcrete])
def test_log_densities_have_a_hessian_in_every_mode(family) -> None:
    torch.manual_seed(0)
    relaxed = family(0.5, logits=torch.randn(4, dtype=torch.float64), validate_args=False)
    value = relaxed.sample()

    def density(value):
        return relaxed.log_prob(value).sum()

    def density_of_logits(logits):
        return family(0.5, logits=logits, validate_args=False).log_prob(value).sum()

    modes = torch.func.jacfwd, torch.func.jacrev
    for point, function in ((value, density), (relaxed.logits, density_of_logits)):
        hessians = [outer(inner(function))(point) for outer in modes for inner in modes]
        assert hessians[0].abs().max() > 1e-3
        for hessian in hessians[1:]:
            torch.testing.assert_close(hessian, hessians[0])


@pytest.mark.usefixtures("fresh_compiler")
def test_gradients_of_densities_compile_under_functional_transforms() -> None:
    relaxed = rt.GumbelSoftmax(0.5, logits=torch.randn(4), validate_args=False)
    values = relaxed.sample((3,))
    gradients = torch.func.vmap(torch.func.grad(relaxed.log_prob))
    compiled = torch.compile(gradients, fullgraph=True, backend="aot_eager")
    torch.testing.assert_close(compiled(values), gradients(values))


def test_an_error_of_a_kernel_is_raised_once() -> None:
    with pytest.raises(RuntimeError, match="must match the size"):
        kernels.bernoulli(torch.ones(2), torch.ones(3))


# -- hard values and ties ------------------------------------------------------------------------


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_hardmax_is_the_first_of_equal_entries(dim: int) -> None:
    values = torch.tensor([[1.0, 3.0, 3.0], [2.0, 3.0, -torch.inf], [2.0, 0.0, 3.0]])
    expected = torch.nn.functional.one_hot(values.argmax(dim), 3).float()
    found = kernels.hardmax(values.requires_grad_(), dim)
    assert torch.equal(found, expected if dim else expected.T)
    assert not found.requires_grad
    assert torch.equal(kernels.argmax(values, dim), values.argmax(dim, keepdim=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_straight_through_is_exactly_hard_with_the_gradient_of_soft(dtype: torch.dtype) -> None:
    soft = torch.linspace(0, 1, 1001, dtype=torch.float64).to(dtype).requires_grad_()
    for hard in (torch.zeros_like(soft), torch.ones_like(soft)):
        value = kernels.straight_through(hard, soft)
        assert torch.equal(value, hard)
        (gradient,) = torch.autograd.grad(value.sum(), soft)
        assert (gradient == 1).all()


def test_a_value_at_the_edge_of_the_clip_moves_with_the_score() -> None:
    score = torch.tensor([-torch.inf, -0.5, 0.0, 0.5, 1.0, 1.5], requires_grad=True)
    for weight in (1.0, -2.0, torch.inf):
        weights = torch.full_like(score, weight)
        (gradient,) = torch.autograd.grad(kernels.clip(score), score, weights)
        assert gradient.tolist() == [0, 0, weight, weight, weight, 0]


# -- top-k -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("spread", [0.1, 10.0, 1e4])
def test_the_sum_of_softmaxes_is_the_sum_of_the_rows_at_every_spread(spread: float) -> None:
    torch.manual_seed(0)
    score, order = scores_in_order(4, 15, torch.float64)
    score = (spread * score).requires_grad_()
    rows = score.unsqueeze(-2).expand(*order.shape, 15)
    every_row = torch.softmax(without_earlier_choices(rows), -1).sum(-2)
    found = sum_of_softmaxes(score, order)
    torch.testing.assert_close(found, every_row)
    weights = torch.randn(4, 15, dtype=torch.float64)
    torch.testing.assert_close(
        torch.autograd.grad(found, score, weights),
        torch.autograd.grad(every_row, score, weights),
        rtol=1e-9,
        atol=1e-15 * max(1.0, 10 * spread),  # some ulps of a score
    )


# -- from normal to logistic -----------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_logistic_of_a_normal_is_precise_in_the_tails(dtype) -> None:
    sizes = np.concatenate([np.logspace(-12, 0, 40) * size for size in (1, 12, 36, 1e4)])
    x = torch.tensor(
        np.concatenate([-sizes, [0.0, 0.99, 1.01, 11.99, 12.01, 35.99, 36.01], sizes]), dtype=dtype
    )
    with mpmath.workdps(50):
        inside = [
            float(mpmath.log(mpmath.ncdf(v)) - mpmath.log(mpmath.ncdf(-v))) if abs(v) < 50 else 0.0
            for v in map(mpmath.mpf, x.tolist())
        ]
    expected = np.where(x.abs() < 50, inside, normal.logit_ndtr(x).double())
    found = normal.normal_to_logistic(x)
    # It is added to log-odds. Around 0 it is four times the error of a probability of 1/2, which
    # `erfc`, two products and the logit round, as in the logistic noise of other classes.
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
    # The exponential and erfcx round arguments; no more is allowed than before they were used.
    end = {torch.float32: 12.0, torch.float64: 36.0}[dtype]
    ulps = 10 + x.double().clamp(max=end).square().numpy()
    found = normal.slope_of_logistic(x).double().numpy()
    errors = np.abs(found / np.array(expected) - 1) / torch.finfo(dtype).eps
    assert (errors < ulps).all(), errors


def test_the_logistic_of_a_normal_is_finite_everywhere() -> None:
    x = torch.tensor([1e30, -1e30, torch.inf, -torch.inf])
    assert normal.normal_to_logistic(x).isfinite().all()
