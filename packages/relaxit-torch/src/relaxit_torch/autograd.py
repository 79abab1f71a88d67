"""The base of the functions whose backward pass is written here."""

from __future__ import annotations

import inspect
from types import SimpleNamespace
from typing import Any

import torch


class Function(torch.autograd.Function):
    """Works in `torch.func` and `torch.compile`. No `jvp`: `torch.compile` refuses what has one.

    `forward` takes its arguments by position. `forward` and `backward` are torch operations, so
    that there is a second derivative.
    """

    generate_vmap_rule = True

    def __init_subclass__(cls) -> None:
        # Of a function with a `setup_context`, `apply` binds the arguments to the signature of
        # `forward` at each call, for as long as some small kernels: in torch 2.14 by
        # `_bind_default_args` of `torch.autograd.function`. It asks `inspect.signature`, which
        # returns what is in `__signature__`: nothing of torch is replaced, and were it to bind in
        # another way, only time would be lost.
        parameters = inspect.signature(cls.forward).parameters.values()
        cls.forward.__signature__ = _Positional(list(parameters))  # type: ignore[attr-defined]


class _Positional(inspect.Signature):
    """That of a function which is given all of its arguments: nothing is to be bound."""

    # Torch reads no more of the `BoundArguments` that Python would return.
    def bind(self, *args: Any, **kwargs: Any) -> Any:
        return SimpleNamespace(args=args, kwargs=kwargs, apply_defaults=int)
