"""What each shortcut of `relaxit_torch.numerics` gains over its plain twin (`-k kernels`)."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from kernels import COMPARISONS, Comparison
from measuring import cost, in_turns, step, times_as_long
from torch import Tensor

SIZES = [(64, 16), (1024, 1000)]
DIRECTIONS = {"forward": False, "forward + backward": True}
COMPARED = {name: c for name, c in COMPARISONS.items() if c.for_speed}


@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("name", COMPARED)
def test_kernels(record: Callable[..., None], name: str, size: tuple[int, int]) -> None:
    """Time of both in turns, and the bytes that each keeps for the backward pass."""
    comparison = COMPARED[name]
    rows, columns = within(comparison, *size)
    inputs = list(comparison.inputs(rows, columns, torch.float32))
    leaves = [inputs[i].requires_grad_() for i in comparison.differentiable]
    ways = {
        way: partly(comparison, inputs, function)
        for way, function in {
            "shortcut": comparison.shortcut.apply,
            "plain": comparison.shortcut.plain,
        }.items()
    }
    found = {way: cost(function, leaves) for way, function in ways.items()}
    for direction, backward in DIRECTIONS.items():
        if backward and not leaves:
            continue
        times = in_turns({w: step(f, leaves, backward) for w, f in ways.items()}, 0.3)
        record(
            "kernels",
            kernel=name,
            batch=rows,
            size=columns,
            direction=direction,
            shortcut_ms=median(times["shortcut"]),
            plain_ms=median(times["plain"]),
            times=times_as_long(times["plain"], times["shortcut"]),
            shortcut_bytes=found["shortcut"]["saved_bytes"],
            plain_bytes=found["plain"]["saved_bytes"],
            shortcut_kernels=found["shortcut"]["kernels_forward"],
            plain_kernels=found["plain"]["kernels_forward"],
        )


def within(comparison: Comparison, rows: int, columns: int) -> tuple[int, int]:
    """As many numbers, in no more columns than the comparison has."""
    most = min(columns, comparison.columns or columns)
    return rows * columns // most, most


def partly(
    comparison: Comparison, inputs: list[Any], function: Callable[..., Any]
) -> Callable[..., Tensor]:
    """The function of the differentiable inputs alone."""

    def evaluate(*leaves: Tensor) -> Tensor:
        given = list(inputs)
        for place, leaf in zip(comparison.differentiable, leaves, strict=True):
            given[place] = leaf
        found: Tensor = function(*given)
        # Weights of a gradient are drawn for floating-point numbers.
        return found if found.is_floating_point() else found.view(torch.float32)

    return evaluate
