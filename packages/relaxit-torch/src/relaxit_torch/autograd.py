"""The base of the functions whose backward pass is written here."""

from __future__ import annotations

import inspect

import torch


class Function(torch.autograd.Function):
    """Works in `torch.func` and `torch.compile`. No `jvp`: `torch.compile` refuses what has one.

    `forward` and `backward` are torch operations, so that there is a second derivative.
    """

    generate_vmap_rule = True

    def __init_subclass__(cls) -> None:
        # torch inspects it at each call, for as long as a small kernel takes.
        cls.forward.__signature__ = inspect.signature(cls.forward)  # type: ignore[attr-defined]
