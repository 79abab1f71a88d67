"""Parameters of an estimator, which learn from the same backward pass as the model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor


def learn(value: Tensor, objective: Tensor, parameters: Sequence[Tensor]) -> Tensor:
    """Returns `value` exactly; its backward pass gives `parameters` the gradient of `objective`.

    Both have the batch shape. Each batch element of the objective counts with the square of the
    gradient that arrives at it: where that is the weight of the estimate in a loss, its square is
    the weight of the variance, and the sign of the loss does not matter. Nothing but `parameters`
    gets a gradient of the objective.
    """
    return value + _Zero.apply((objective, tuple(parameters)), *parameters)


class _Zero(torch.autograd.Function):
    """Zeros with that backward pass."""

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
