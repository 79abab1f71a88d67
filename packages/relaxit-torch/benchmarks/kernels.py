"""Every shortcut of `relaxit_torch.numerics`, with inputs to compare it with its plain twin."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import (
    Bernoulli,
    Clip,
    Greater,
    HardSigmoid,
    LogInterior,
    LogLogisticDensity,
    OneHot,
    Positive,
    RootGate,
    Shortcut,
    Widened,
)
from relaxit_torch.numerics.noise import RandomIntegers
from relaxit_torch.numerics.normal import CoupledLogistic
from relaxit_torch.numerics.top_k import SumOfSoftmaxes, top_k_indices

K = 10
"""Entries of a top-k."""


@dataclass(frozen=True)
class Comparison:
    """A shortcut and its inputs, which all have two dimensions or are no tensors."""

    shortcut: type[Shortcut]
    inputs: Callable[[int, int, torch.dtype], tuple[Any, ...]]
    """Inputs for a number of rows and columns and a dtype."""
    differentiable: tuple[int, ...] = (0,)
    """Which of the inputs have a gradient."""
    for_speed: bool = True
    """Whether the shortcut is there to save time or bytes."""
    columns: int | None = None
    """The number of columns at most, where the cost grows with its square."""


def normal(rows: int, columns: int, dtype: torch.dtype, scale: float = 2.0) -> Tensor:
    return scale * torch.randn(rows, columns, dtype=dtype)


def uniform(rows: int, columns: int, dtype: torch.dtype) -> Tensor:
    return torch.rand(rows, columns, dtype=dtype)


def factor(size: int, dtype: torch.dtype) -> Tensor:
    matrix = torch.full((size, size), 0.5, dtype=dtype).fill_diagonal_(1.0)
    return torch.linalg.cholesky(matrix)


def scores_in_order(rows: int, columns: int, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    score = normal(rows, columns, dtype)
    return score, top_k_indices(score, min(K, columns))


COMPARISONS = {
    "greater": Comparison(
        Greater, lambda m, n, d: (uniform(m, n, d), uniform(m, n, d)), differentiable=()
    ),
    "random integers": Comparison(
        RandomIntegers,
        lambda m, n, d: (torch.Size((m, n)), d, torch.device("cpu")),
        differentiable=(),
    ),
    "bernoulli": Comparison(Bernoulli, lambda m, n, d: (uniform(m, n, d), uniform(m, n, d))),
    "positive": Comparison(Positive, lambda m, n, d: (normal(m, n, d),)),
    "one-hot": Comparison(OneHot, lambda m, n, d: (normal(m, n, d), -1)),
    "clip": Comparison(Clip, lambda m, n, d: (normal(m, n, d),)),
    "hard sigmoid": Comparison(HardSigmoid, lambda m, n, d: (normal(m, n, d), -0.1, 1.1, 0.5)),
    "hard sigmoid of tensors": Comparison(
        HardSigmoid,
        lambda m, n, d: (
            normal(m, n, d),
            torch.full((m, n), -0.1, dtype=d),
            torch.full((m, n), 1.1, dtype=d),
            1.0,
        ),
        differentiable=(0, 1, 2),
    ),
    "root gate": Comparison(RootGate, lambda m, n, d: (uniform(m, n, d), uniform(m, n, d), False)),
    "root gate of logits": Comparison(
        RootGate, lambda m, n, d: (normal(m, n, d), uniform(m, n, d), True)
    ),
    "log in the interior": Comparison(LogInterior, lambda m, n, d: (uniform(m, n, d), d)),
    "log logistic density": Comparison(LogLogisticDensity, lambda m, n, d: (normal(m, n, d),)),
    "widened": Comparison(
        Widened, lambda m, n, d: (normal(m, n, d).half(),), differentiable=(), for_speed=False
    ),
    "coupled logistic": Comparison(
        CoupledLogistic,
        lambda m, n, d: (factor(n, d), normal(m, n, d, 1.0)),
        differentiable=(0, 1),
        columns=128,
    ),
    "sum of softmaxes": Comparison(SumOfSoftmaxes, scores_in_order),
}
