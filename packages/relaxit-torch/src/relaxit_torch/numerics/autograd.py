"""The base of the functions whose backward pass is written here."""

from __future__ import annotations

from typing import Any, ClassVar

import torch


class Function(torch.autograd.Function):
    """Its `call` takes the shortest way in eager code, and elsewhere one that all transforms know.

    `forward` and `backward` are torch operations, so that there is a second derivative.
    """

    generate_vmap_rule = True
    _eager: ClassVar[type[torch.autograd.Function]]
    """All in one method, which `torch.func` refuses: torch calls it in half of the time."""

    def __init_subclass__(cls) -> None:
        def forward(ctx: Any, *inputs: Any) -> Any:
            output = cls.forward(*inputs)
            cls.setup_context(ctx, inputs, output)
            return output

        methods = {"forward": staticmethod(forward), "backward": staticmethod(cls.backward)}
        cls._eager = type(cls.__name__, (torch.autograd.Function,), methods)

    @classmethod
    def call(cls, *inputs: Any) -> Any:
        """The output for `inputs`, with the gradient of `backward`."""
        if not torch.compiler.is_compiling():
            try:
                return cls._eager.apply(*inputs)
            except RuntimeError:  # of `torch.func` or forward mode; any other comes again below
                pass
        return cls.elsewhere(*inputs)

    @classmethod
    def elsewhere(cls, *inputs: Any) -> Any:
        """The same in `torch.compile`, `torch.func` and forward mode.

        By default without a derivative in forward mode: `torch.compile` refuses what has a `jvp`. A
        function that is easily written in torch operations has all modes by these.
        """
        return cls.apply(*inputs)
