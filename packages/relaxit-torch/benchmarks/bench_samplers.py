"""Construction and one sample, with and without the backward pass, next to the peers."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median
from typing import Any

import pytest
import torch
from measuring import cost, in_turns, operations, step, times_as_long
from methods import METHODS

SIZES = [(64, 16), (1024, 1000), (10, 100_000)]
DIRECTIONS = {"forward": False, "forward + backward": True}
SAMPLERS = [(method, name) for method, of in METHODS.items() for name in of.samplers]
COMPARED = [method for method, of in METHODS.items() if of.peers]
SCORED = [method for method, of in METHODS.items() if of.distributions]


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
    if DIRECTIONS[direction] and not of.has_gradient:
        pytest.skip(f"samples of {method} have no gradient")
    rows, columns = of.size(*size)
    benchmark.group = f"{method} {rows} x {columns}, {direction}"
    benchmark.name = name
    benchmark(step(of.samplers[name], of.leaves(*size), DIRECTIONS[direction]))
    record(
        "time",
        method=method,
        sampler=name,
        batch=rows,
        size=columns,
        direction=direction,
        median_ms=1e3 * benchmark.stats.stats.median,
    )


@pytest.mark.parametrize("direction", DIRECTIONS)
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize("method", COMPARED)
def test_ratio(
    record: Callable[..., None], method: str, size: tuple[int, int], direction: str
) -> None:
    """How many times as long as ours a peer takes, the two in turns."""
    of = METHODS[method]
    leaves = of.leaves(*size)
    rows, columns = of.size(*size)
    for peer, sampler in of.peers.items():
        pair = {"ours": of.ours, "peer": sampler}
        calls = {name: step(one, leaves, DIRECTIONS[direction]) for name, one in pair.items()}
        times = in_turns(calls, 0.5)
        record(
            "ratio",
            method=method,
            sampler=peer,
            batch=rows,
            size=columns,
            direction=direction,
            times_ours=times_as_long(times["peer"], times["ours"]),
        )


@pytest.mark.parametrize(("method", "name"), SAMPLERS)
def test_cost(record: Callable[..., None], method: str, name: str) -> None:
    of = METHODS[method]
    found = cost(of.samplers[name], of.leaves(1024, 1000))
    record("cost", method=method, sampler=name, **found)


@pytest.mark.parametrize("method", SCORED)
def test_log_prob(record: Callable[..., None], method: str) -> None:
    """The log density of a sample and its backward pass, the peers in turns."""
    of = METHODS[method]
    leaves = of.leaves(1024, 1000)
    rows, columns = of.size(1024, 1000)
    value = of.relaxation(*leaves).sample()

    def scorer(distribution: Callable[..., torch.distributions.Distribution]) -> Callable[..., Any]:
        return lambda *given: distribution(*given).log_prob(value)

    calls = {
        name: step(scorer(distribution), leaves, True)
        for name, distribution in of.distributions.items()
    }
    times = in_turns(calls, 1.0)
    ours = times["relaxit-torch"]
    for name, of_one in times.items():
        found = cost(scorer(of.distributions[name]), leaves)
        record(
            "log_prob",
            method=method,
            distribution=name,
            batch=rows,
            size=columns,
            median_ms=median(of_one),
            times_ours=times_as_long(of_one, ours),
            kernels_forward=found["kernels_forward"],
            kernels_backward=found["kernels_backward"],
        )


@pytest.mark.parametrize("method", METHODS)
def test_profile(record: Callable[..., None], method: str) -> None:
    """Which operations the time of a sample and its backward pass goes to."""
    of = METHODS[method]
    found = operations(step(of.ours, of.leaves(1024, 1000), of.has_gradient))
    whole = sum(milliseconds for _, _, milliseconds in found)
    for name, count, milliseconds in found[:8]:
        record(
            "profile",
            method=method,
            operation=name.removeprefix("aten::"),
            calls=count,
            ms=milliseconds,
            share=milliseconds / whole,
        )
