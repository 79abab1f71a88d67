"""What is measured of a sampler: time, kernels, and bytes that its backward pass needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

Call = Callable[[], Any]


def step(sampler: Callable[..., Tensor], leaves: list[Tensor], backward: bool) -> Call:
    """A call that samples and, if asked, differentiates a weighted sum of the sample."""
    wanted = [leaf for leaf in leaves if leaf.requires_grad]
    with torch.no_grad():
        weights = torch.randn_like(sampler(*leaves))

    def forward() -> None:
        with torch.no_grad():
            sampler(*leaves)

    def both() -> None:
        torch.autograd.grad(sampler(*leaves), wanted, weights)

    call = both if backward else forward
    if weights.is_cuda:

        def waiting() -> None:
            call()
            torch.cuda.synchronize()

        return waiting
    return call


def in_turns(calls: dict[str, Call], seconds: float) -> dict[str, list[float]]:
    """Milliseconds of each call, in turns: what disturbs the machine disturbs them all.

    Of the processor, where one thread does all: what others take of it does not count.
    """
    alone = torch.get_num_threads() == 1 and torch.get_default_device().type == "cpu"
    clock = time.process_time if alone else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or len(next(iter(times.values()))) < 10:
        for name, call in calls.items():
            start = clock()
            call()
            times[name].append(1e3 * (clock() - start))
    return times


def times_as_long(these: list[float], those: list[float]) -> float:
    """The median ratio of times that were taken in turns."""
    return median(a / b for a, b in zip(these, those, strict=True))


def operations(call: Call, calls: int = 20) -> list[tuple[str, float, float]]:
    """What one call consists of: operations, how often, and milliseconds in themselves."""
    for _ in range(3):
        call()
    with profile(activities=[ProfilerActivity.CPU]) as profiler:
        for _ in range(calls):
            call()
    found = [
        (event.key, event.count / calls, event.self_cpu_time_total / (1e3 * calls))
        for event in profiler.key_averages()
    ]
    return sorted(found, key=lambda row: -row[2])


class Kernels(TorchDispatchMode):
    """Counts the operations that launch a kernel, and the bytes that they allocate."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]  # torch has no annotations here
        self.names: list[str] = []
        self.allocated = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        given = _storages(tree_leaves((args, kwargs)))
        made = {pointer: n for pointer, n in _storages(tree_leaves(result)).items() if n}
        new = {pointer: n for pointer, n in made.items() if pointer not in given}
        self.allocated += sum(new.values())
        # What returns what it was given is a view, unless it writes there.
        name = func._schema.name.removeprefix("aten::")
        if (new or func._schema.is_mutable) and not name.startswith("empty"):
            self.names.append(name)
        return result


def _storages(values: Iterable[Any]) -> dict[int, int]:
    storages = (value.untyped_storage() for value in values if isinstance(value, Tensor))
    return {storage._cdata: storage.nbytes() for storage in storages}


def cost(sampler: Callable[..., Tensor], leaves: list[Tensor]) -> dict[str, float]:
    """Kernels of both directions, and bytes for each entry of the sample: kept, and allocated."""
    parameters = _storages(leaves)
    kept: dict[int, int] = {}

    def pack(tensor: Tensor) -> Tensor:
        kept.update(_storages([tensor]))
        return tensor

    forward, backward = Kernels(), Kernels()
    with forward, torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        sample = sampler(*leaves)
    wanted = [leaf for leaf in leaves if leaf.requires_grad] if sample.requires_grad else []
    weights = torch.ones_like(sample)
    with backward:
        if wanted:
            torch.autograd.grad(sample, wanted, weights)
    saved = sum(n for storage, n in kept.items() if storage not in parameters)
    return {
        "kernels_forward": len(forward.names),
        "kernels_backward": len(backward.names),
        "saved_bytes": saved / sample.numel(),
        "allocated_bytes": (forward.allocated + backward.allocated) / sample.numel(),
    }
