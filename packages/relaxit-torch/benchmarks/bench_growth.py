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
CLASSES = [method for method in METHODS if not method.startswith("functional")]
CATEGORIES = [(10, 10**n) for n in (3, 4, 5, 6)]


@pytest.mark.parametrize("method", CLASSES)
def test_next_to_the_noise(record: Callable[..., None], method: str) -> None:
    """The floor: the noise in place, and one pass over memory. Eager, and with compiled `relax`."""
    of = METHODS[method]
    leaves = of.leaves(1024, 1000)
    distribution = of.relaxation(*leaves)
    compiled = compiled_relax(method)

    def floor() -> None:
        distribution.noise().add_(1.0)

    calls = {
        "sampler": step(of.ours, leaves, of.has_gradient),
        "compiled": step(
            lambda *given: compiled(*given, distribution.noise()), leaves, of.has_gradient
        ),
        "floor": floor,
    }
    times = in_turns(calls, 1.0)
    record(
        "floor",
        method=method,
        sampler_ms=median(times["sampler"]),
        floor_ms=median(times["floor"]),
        times=times_as_long(times["sampler"], times["floor"]),
        times_compiled=times_as_long(times["compiled"], times["floor"]),
    )


@pytest.mark.parametrize("method", CLASSES)
def test_compiled(record: Callable[..., None], method: str) -> None:
    """`relax` alone: the noise lies there already."""
    of = METHODS[method]
    leaves = of.leaves(1024, 1000)
    given = [*leaves, of.relaxation(*leaves).noise()]
    calls = {
        name: step(function, given, of.has_gradient)
        for name, function in {"eager": relax(method), "compiled": compiled_relax(method)}.items()
    }
    times = in_turns(calls, 1.0)
    record(
        "compiled",
        method=method,
        eager_ms=median(times["eager"]),
        compiled_ms=median(times["compiled"]),
        times=times_as_long(times["compiled"], times["eager"]),
    )


def relax(method: str) -> Callable[..., torch.Tensor]:
    """From parameters and, at last, noise to a sample; constructs the distribution."""
    name = "relax_khot" if method.endswith("k-hot") else "relax"

    def relax(*given: torch.Tensor) -> torch.Tensor:
        return getattr(METHODS[method].relaxation(*given[:-1]), name)(given[-1])

    return relax


def compiled_relax(method: str) -> Callable[..., torch.Tensor]:
    """The same, compiled without anything that was compiled before."""
    torch._dynamo.reset()
    return torch.compile(relax(method), fullgraph=True)


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
            distribution = rt.GumbelSoftmaxTopK(k, TEMPERATURE, logits=x, validate_args=False)
            return distribution.rsample_khot()

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
