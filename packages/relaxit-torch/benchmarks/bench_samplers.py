"""Construction and one sample, with and without the backward pass, next to the peers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from measuring import cost, step
from methods import METHODS

SIZES = [(64, 16), (1024, 1000), (10, 100_000)]
DIRECTIONS = {"forward": False, "forward + backward": True}
SAMPLERS = [(method, name) for method, of in METHODS.items() for name in of.samplers]

ours: dict[tuple[str, str], float] = {}
"""The medians of our samplers, which come first, by method and what is measured."""


@pytest.mark.benchmark(max_time=0.5, min_rounds=10, warmup=True, warmup_iterations=5)
@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(("method", "name"), SAMPLERS)
def test_time(
    benchmark: Any,
    record: Callable[..., None],
    method: str,
    name: str,
    size: tuple[int, int],
    direction: str,
) -> None:
    of = METHODS[method]
    benchmark.group = f"{method} {size}, {direction}"
    benchmark.name = name
    benchmark(step(of.samplers[name], of.leaves(*size), DIRECTIONS[direction]))
    median = 1e3 * benchmark.stats.stats.median
    first = ours.setdefault((method, f"{size} {direction}"), median)
    record(
        "time",
        method=method,
        sampler=name,
        batch=size[0],
        size=size[1],
        direction=direction,
        median_ms=median,
        times_ours=median / first,
    )


@pytest.mark.parametrize(("method", "name"), SAMPLERS)
def test_cost(record: Callable[..., None], method: str, name: str) -> None:
    of = METHODS[method]
    found = cost(of.samplers[name], of.leaves(1024, 1000))
    record("cost", method=method, sampler=name, **found)
