"""The base of the functions whose backward pass is written in this package."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.autograd import forward_ad

import relaxit_torch as rt
from relaxit_torch.distributions import rows
from relaxit_torch.numerics import autograd, fused_maps, straight_through


class Scaled(autograd.Function):
    """A product with a number, which is no tensor."""

    @staticmethod
    def forward(x: Tensor, factor: float) -> Tensor:
        return x * factor

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, float], output: Tensor) -> None:
        ctx.factor = inputs[1]

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        return gradients[0] * ctx.factor, None


def test_a_call_gives_value_and_both_derivatives_without_the_signature(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Torch would bind the arguments to it, for as long as some small kernels."""

    def bind(function: Any) -> None:
        raise AssertionError(f"the signature of {function} was asked for")

    x = torch.tensor([1.0, -2.0], requires_grad=True)
    with monkeypatch.context() as patched:
        patched.setattr(inspect, "signature", bind)
        value = Scaled.call(x, 3.0)
    assert value.tolist() == [3.0, -6.0]
    assert type(value.grad_fn).__name__ == "ScaledBackward"
    weights = torch.ones(2, requires_grad=True)
    (gradient,) = torch.autograd.grad(value, x, weights, create_graph=True)
    assert gradient.tolist() == [3.0, 3.0]
    (second,) = torch.autograd.grad(gradient.sum(), weights)
    assert second.tolist() == [3.0, 3.0]


def test_a_call_works_in_functional_transforms() -> None:
    x = torch.tensor([[1.0, -2.0], [0.5, 4.0]])
    assert torch.equal(torch.func.vmap(lambda row: Scaled.call(row, 3.0))(x), 3 * x)
    gradient = torch.func.grad(lambda x: Scaled.call(x, 3.0).square().sum())(x)
    assert torch.equal(gradient, 18 * x)


UNIFORM = torch.rand(5, 3, 4, dtype=torch.float64, generator=torch.manual_seed(1))
HARD = {
    "one-hot": (straight_through.one_hot, lambda x: torch.softmax(x, -1)),
    "positive": (straight_through.positive, torch.sigmoid),
    "bernoulli": (lambda x: straight_through.bernoulli(x, UNIFORM), lambda x: x.expand(5, 3, 4)),
}


# Forward mode loads torch/_decomp/decompositions_for_jvp.py, which scripts its functions.
@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize(("hard", "soft"), HARD.values(), ids=HARD)
def test_hard_values_have_the_derivative_of_soft_ones_in_forward_mode(hard, soft) -> None:
    torch.manual_seed(0)
    x, direction = torch.randn(2, 3, 4, dtype=torch.float64)
    value, found = torch.func.jvp(hard, (x,), (direction,))
    _, expected = torch.func.jvp(soft, (x,), (direction,))
    assert set(value.unique().tolist()) <= {0.0, 1.0}
    torch.testing.assert_close(found, expected)
    with forward_ad.dual_level():
        dual = forward_ad.unpack_dual(hard(forward_ad.make_dual(x, direction)))
    torch.testing.assert_close(dual.tangent, expected)
    twice = torch.func.jacfwd(torch.func.jacfwd(lambda x: hard(x).square().sum()))(x)
    assert twice.isfinite().all()
    if hard is not HARD["bernoulli"][0]:
        assert twice.abs().max() > 1e-3


@pytest.mark.filterwarnings("ignore:`torch.jit.script` is deprecated:FutureWarning")
@pytest.mark.parametrize("law", [rt.GumbelSoftmax, rt.BinaryConcrete, rt.LogitBinaryConcrete])
def test_log_densities_have_a_hessian_in_every_mode(law) -> None:
    torch.manual_seed(0)
    relaxed = law(0.5, logits=torch.randn(4, dtype=torch.float64), validate_args=False)
    value = relaxed.sample()

    def density(value: Tensor) -> Tensor:
        return relaxed.log_prob(value).sum()

    def density_of_logits(logits: Tensor) -> Tensor:
        return law(0.5, logits=logits, validate_args=False).log_prob(value).sum()

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


def test_an_error_of_the_function_is_raised() -> None:
    with pytest.raises(RuntimeError, match="must match the size"):
        Scaled.call(torch.ones(2), torch.ones(3))


def test_every_function_is_called_by_the_short_way() -> None:
    source = Path(fused_maps.__file__).parent
    modules = {fused_maps.__name__, rows.__name__, straight_through.__name__}
    functions = {function.__name__ for function in autograd.Function.__subclasses__()}
    assert modules <= {function.__module__ for function in autograd.Function.__subclasses__()}
    for path in source.rglob("*.py"):
        for name in re.findall(r"(\w+)\.apply\(", path.read_text(encoding="utf-8")):
            assert name not in functions, f"{path.name}: {name}.apply"
