"""What is measured of a sampler: time, kernels, and bytes that its backward pass needs."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from statistics import median
from typing import Any

import torch
from torch import Tensor
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


def medians(calls: dict[str, Call], seconds: float) -> dict[str, float]:
    """Milliseconds of each, in turns: what disturbs the machine disturbs them all."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for call in calls.values():
        for _ in range(3):
            call()
    end = time.perf_counter() + seconds * len(calls)
    while time.perf_counter() < end or len(next(iter(times.values()))) < 10:
        for name, call in calls.items():
            start = time.perf_counter()
            call()
            times[name].append(1e3 * (time.perf_counter() - start))
    return {name: median(of) for name, of in times.items()}


class Kernels(TorchDispatchMode):
    """Counts the operations that launch a kernel, and the bytes that they allocate."""

    def __init__(self) -> None:
        super().__init__()
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
    weights = torch.ones_like(sample)
    with backward:
        torch.autograd.grad(sample, [leaf for leaf in leaves if leaf.requires_grad], weights)
    saved = sum(n for storage, n in kept.items() if storage not in parameters)
    return {
        "kernels_forward": len(forward.names),
        "kernels_backward": len(backward.names),
        "saved_bytes": saved / sample.numel(),
        "allocated_bytes": (forward.allocated + backward.allocated) / sample.numel(),
    }
