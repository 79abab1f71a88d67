"""The base of the functions whose backward pass is written in this package."""

from __future__ import annotations

import inspect
from typing import Any

import pytest
import torch
from torch import Tensor

from relaxit_torch import autograd, outputs, rows, straight_through


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


def test_torch_binds_arguments_by_the_signature_that_binds_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Were it red, torch would read something else, and `_Positional` would shorten nothing."""
    bound, bind = [], autograd._Positional.bind

    def counted(self: inspect.Signature, *args: Any, **kwargs: Any) -> Any:
        bound.append((args, kwargs))
        return bind(self, *args, **kwargs)

    monkeypatch.setattr(autograd._Positional, "bind", counted)
    x = torch.tensor([1.0, -2.0], requires_grad=True)
    value = Scaled.apply(x, 3.0)
    ((args, kwargs),) = bound
    assert args[0] is x
    assert (args[1:], kwargs) == ((3.0,), {})
    assert value.tolist() == [3.0, -6.0]
    (gradient,) = torch.autograd.grad(value.sum(), x)
    assert gradient.tolist() == [3.0, 3.0]


def test_it_binds_what_python_would_bind() -> None:
    signature = inspect.signature(Scaled.forward)
    python = inspect.Signature(list(signature.parameters.values()))
    found, expected = (each.bind("x", 2.0) for each in (signature, python))
    for bound in (found, expected):
        bound.apply_defaults()
    assert (found.args, found.kwargs) == (expected.args, expected.kwargs) == (("x", 2.0), {})


def test_no_function_has_an_argument_that_would_have_to_be_bound() -> None:
    functions = autograd.Function.__subclasses__()
    modules = {outputs.__name__, rows.__name__, straight_through.__name__}
    assert modules <= {function.__module__ for function in functions}
    for function in functions:
        for parameter in inspect.signature(function.forward).parameters.values():
            where = f"{function.__qualname__}.forward: {parameter}"
            assert parameter.kind is parameter.POSITIONAL_OR_KEYWORD, where
            assert parameter.default is parameter.empty, where
