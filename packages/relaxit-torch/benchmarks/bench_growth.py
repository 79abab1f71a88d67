"""What a sampler costs beyond its noise, when compiled, and as its size grows."""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

import pytest
import torch
from measuring import Call, cost, in_turns, step, times_as_long
from methods import METHODS, TEMPERATURE

import relaxit_torch as rt

BATCHES = [(10**n, 100) for n in (2, 3, 4, 5)]
CATEGORIES = [(10, 10**n) for n in (3, 4, 5, 6)]


@pytest.mark.parametrize("method", METHODS)
def test_next_to_the_noise(record: Callable[..., None], method: str) -> None:
    """The floor: the noise in place, and one pass over memory."""
    of = METHODS[method]
    leaves = of.leaves(1024, 1000)
    law = of.relaxation(*leaves)

    def floor() -> None:
        law.noise().add_(1.0)

    times = in_turns({"sampler": step(of.ours, leaves, of.has_gradient), "floor": floor}, 1.0)
    sampler, least = times["sampler"], times["floor"]
    record(
        "floor",
        method=method,
        sampler_ms=median(sampler),
        floor_ms=median(least),
        times=times_as_long(sampler, least),
    )


@pytest.mark.parametrize("method", METHODS)
def test_compiled(record: Callable[..., None], method: str) -> None:
    """`relax` inside of the compiled region, and the noise outside."""
    of = METHODS[method]
    leaves = of.leaves(1024, 1000)
    relax = "relax_khot" if method.endswith("k-hot") else "relax"
    noise = of.relaxation(*leaves).noise()

    def eager(*given: torch.Tensor) -> torch.Tensor:
        return getattr(of.relaxation(*given[:-1]), relax)(given[-1])

    torch._dynamo.reset()
    compiled = torch.compile(eager, fullgraph=True)
    calls = {
        name: step(function, [*leaves, noise], of.has_gradient)
        for name, function in {"eager": eager, "compiled": compiled}.items()
    }
    times = in_turns(calls, 1.0)
    record(
        "compiled",
        method=method,
        eager_ms=median(times["eager"]),
        compiled_ms=median(times["compiled"]),
        times=times_as_long(times["compiled"], times["eager"]),
    )


@pytest.mark.parametrize("along", ["batch", "categories"])
@pytest.mark.parametrize("method", METHODS)
def test_growth(record: Callable[..., None], method: str, along: str) -> None:
    """Nanoseconds and bytes for each entry of a sample, over three decades."""
    of = METHODS[method]
    for size in BATCHES if along == "batch" else CATEGORIES:
        leaves = of.leaves(*size)
        times = in_turns({"ours": step(of.ours, leaves, of.has_gradient)}, 0.3)
        rows, columns = of.size(*size)
        record(
            "growth",
            method=method,
            along=along,
            batch=rows,
            size=columns,
            ns_per_entry=1e6 * median(times["ours"]) / (rows * columns),
            bytes_per_entry=cost(of.ours, leaves)["allocated_bytes"],
        )


@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward + backward"])
def test_more_drawn_categories(record: Callable[..., None], backward: bool) -> None:
    """k-hot vectors, of which the cost must not grow with k."""
    logits = torch.randn(256, 10_000, requires_grad=True)

    def khot(k: int) -> Call:
        def sampler(x: torch.Tensor) -> torch.Tensor:
            law = rt.GumbelSoftmaxTopK(k, TEMPERATURE, logits=x, validate_args=False)
            return law.rsample_khot()

        return step(sampler, [logits], backward)

    times = in_turns({str(k): khot(k) for k in (2, 10, 100)}, 3.0)
    for k, of_k in times.items():
        record(
            "drawn",
            direction="forward + backward" if backward else "forward",
            k=int(k),
            median_ms=median(of_k),
            times=times_as_long(of_k, times["2"]),
        )
