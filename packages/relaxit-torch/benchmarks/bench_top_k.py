"""k-hot vectors and probabilities of subsets, of which the cost must not grow with k."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor

import relaxit_torch as rt

TEMPERATURE = 0.5
BATCH, CATEGORIES = 256, 10_000


def khot(k: int, logits: Tensor) -> Callable[[], Tensor]:
    return lambda: rt.GumbelSoftmaxTopK(
        k, TEMPERATURE, logits=logits, validate_args=False
    ).rsample_khot()


def subset(k: int, logits: Tensor) -> Callable[[], Tensor]:
    members = torch.rand_like(logits).topk(k).indices
    drawn = torch.zeros_like(logits).scatter(-1, members, 1.0)
    return lambda: rt.PlackettLuce(k, logits=logits, validate_args=False).subset_log_prob(drawn)


@pytest.mark.benchmark(max_time=3.0, min_rounds=10, warmup=True, warmup_iterations=2)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward + backward"])
@pytest.mark.parametrize("k", [2, 10, 100])
@pytest.mark.parametrize("method", [khot, subset])
def test_top_k(
    benchmark: Any, request: pytest.FixtureRequest, method: Callable, k: int, backward: bool
) -> None:
    device = torch.device(request.config.getoption("--device"))
    dtype = getattr(torch, request.config.getoption("--dtype") or "float32")
    logits = torch.randn(BATCH, CATEGORIES, device=device, dtype=dtype, requires_grad=backward)
    compute = method(k, logits)
    weights = torch.randn_like(compute())

    def step() -> None:
        result = compute()
        if backward:
            torch.autograd.grad(result, logits, weights)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    name = {khot: "GumbelSoftmaxTopK.rsample_khot", subset: "PlackettLuce.subset_log_prob"}[method]
    direction = "forward + backward" if backward else "forward"
    benchmark.group = f"{name} ({BATCH}, {CATEGORIES}), {direction}, {dtype} on {device}"
    benchmark.name = f"k = {k}"
    benchmark(step)
