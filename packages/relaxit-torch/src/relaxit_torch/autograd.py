"""The base of the functions whose backward pass is written here."""

from __future__ import annotations

from typing import Any, ClassVar

import torch


class Function(torch.autograd.Function):
    """Works in `torch.func` and in `torch.compile`.

    `forward` and `backward` are torch operations, so that there is a second derivative.
    """

    generate_vmap_rule = True
    symmetric: ClassVar[bool] = False
    """Whether the Jacobian is symmetric in the first input, which is what `setup_context` keeps: as
    for functions of each entry, and the softmax. Then there is a derivative in forward mode.
    """
    _plain: ClassVar[type[torch.autograd.Function]]
    """All in one method, which `torch.func` refuses: torch calls it in half of the time."""
    _transformed: ClassVar[type[torch.autograd.Function]]
    """With a derivative in forward mode, which `torch.compile` refuses."""

    def __init_subclass__(cls) -> None:
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = cls.forward(*inputs)
            cls.setup_context(ctx, inputs, output)
            return output

        backward = staticmethod(cls.backward)
        plain = {"forward": staticmethod(forward), "backward": backward}
        cls._plain = type(cls.__name__, (torch.autograd.Function,), plain)
        cls._transformed = cls
        if not cls.symmetric:
            return

        def setup_context(ctx: Any, inputs: tuple[Any, ...], output: Any) -> None:
            cls.setup_context(ctx, inputs, output)
            ctx.save_for_forward(inputs[0])

        def jvp(ctx: Any, *tangents: Any) -> Any:
            moved = cls.backward(ctx, tangents[0])
            return moved[0] if isinstance(moved, tuple) else moved

        transformed = {
            "forward": staticmethod(cls.forward),
            "setup_context": staticmethod(setup_context),
            "backward": backward,
            "jvp": staticmethod(jvp),
            "generate_vmap_rule": True,
        }
        cls._transformed = type(cls.__name__, (torch.autograd.Function,), transformed)

    @classmethod
    def call(cls, *inputs: Any) -> Any:
        """The output for `inputs`, with the gradient of `backward`."""
        if torch.compiler.is_compiling():
            return cls.apply(*inputs)
        try:
            return cls._plain.apply(*inputs)
        except RuntimeError:  # of `torch.func` or forward mode; any other comes again below
            return cls._transformed.apply(*inputs)
