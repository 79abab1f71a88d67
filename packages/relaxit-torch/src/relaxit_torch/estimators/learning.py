"""Options of an estimator that learn in the same backward pass as the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def learn(value: Tensor, objective: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Returns `value` exactly. Its backward pass also gives `parameters` the objective's gradient.

    `value` and `objective` have the batch shape. If a loss weighs an element of `value` by w, the
    objective of this element is weighed by w squared, as its variance is. So the sign of the loss
    does not matter.
    """
    return value + _Zero.apply((objective, tuple(parameters)), *parameters)


class _Zero(torch.autograd.Function):
    """Zeros whose backward pass is the one of `learn`."""

    @staticmethod
    def forward(ctx: Any, kept: tuple[Tensor, tuple[Tensor, ...]], *parameters: Tensor) -> Tensor:
        ctx.kept = kept
        return torch.zeros_like(kept[0])

    @staticmethod
    def backward(ctx: Any, *weights: Tensor) -> Any:
        objective, parameters = ctx.kept
        gradients = torch.autograd.grad(
            objective, parameters, weights[0].square(), retain_graph=True, allow_unused=True
        )
        return None, *gradients
