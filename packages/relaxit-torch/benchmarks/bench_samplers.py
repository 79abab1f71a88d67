"""Construction and one sample, with and without the backward pass, next to torch and Pyro."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyro.distributions as pyro
import pytest
import torch
import torch.distributions as td
from torch import Tensor
from torch.nn.functional import gumbel_softmax

import relaxit_torch as rt

TEMPERATURE = 0.5
SIZES = [(64, 16), (1024, 1000)]

Sampler = Callable[[Tensor, Tensor], Tensor]
"""From logits and temperature to a sample."""

SAMPLERS: dict[str, dict[str, Sampler]] = {
    "BinaryConcrete": {
        "relaxit": lambda x, t: rt.BinaryConcrete(t, logits=x, validate_args=False).rsample(),
        "torch": lambda x, t: td.RelaxedBernoulli(t, logits=x, validate_args=False).rsample(),
        "hard relaxit": lambda x, t: rt.BinaryConcrete(
            t, logits=x, hard=True, validate_args=False
        ).rsample(),
        "hard pyro": lambda x, t: pyro.RelaxedBernoulliStraightThrough(
            t, logits=x, validate_args=False
        ).rsample(),
    },
    "GumbelSoftmax": {
        "relaxit": lambda x, t: rt.GumbelSoftmax(t, logits=x, validate_args=False).rsample(),
        "torch": lambda x, t: td.RelaxedOneHotCategorical(
            t, logits=x, validate_args=False
        ).rsample(),
        "torch function": lambda x, t: gumbel_softmax(x, TEMPERATURE),
        "hard relaxit": lambda x, t: rt.GumbelSoftmax(
            t, logits=x, hard=True, validate_args=False
        ).rsample(),
        "hard torch function": lambda x, t: gumbel_softmax(x, TEMPERATURE, hard=True),
        "hard pyro": lambda x, t: pyro.RelaxedOneHotCategoricalStraightThrough(
            t, logits=x, validate_args=False
        ).rsample(),
    },
}


@pytest.mark.benchmark(max_time=0.5, min_rounds=10, warmup=True, warmup_iterations=10)
@pytest.mark.parametrize("backward", [False, True], ids=["forward", "forward + backward"])
@pytest.mark.parametrize("size", SIZES, ids=str)
@pytest.mark.parametrize(
    ("distribution", "name"), [(d, name) for d, samplers in SAMPLERS.items() for name in samplers]
)
def test_sampler(
    benchmark: Any,
    request: pytest.FixtureRequest,
    distribution: str,
    name: str,
    size: tuple[int, int],
    backward: bool,
) -> None:
    device = torch.device(request.config.getoption("--device"))
    dtype = getattr(torch, request.config.getoption("--dtype") or "float32")
    logits = torch.randn(size, device=device, dtype=dtype, requires_grad=backward)
    weights = torch.randn(size, device=device, dtype=dtype)
    temperature = torch.tensor(TEMPERATURE, device=device, dtype=dtype)
    sampler = SAMPLERS[distribution][name]

    def step() -> None:
        sample = sampler(logits, temperature)
        if backward:
            torch.autograd.grad(sample, logits, weights)
        if device.type == "cuda":
            torch.cuda.synchronize(device)

    direction = "forward + backward" if backward else "forward"
    benchmark.group = f"{distribution} {size}, {direction}, {dtype} on {device}"
    benchmark.name = name
    benchmark(step)
