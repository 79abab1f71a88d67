"""Base noise that does not depend on parameters, from random integers to full-range tails.

`torch.rand` in float32 is a multiple of 2^-24: it returns 0, whose logarithm is infinite, and
`-log(-log(rand()))` never exceeds 16.6, so that with 10^5 and more categories the largest Gumbel
variables tie. A random integer divided by its range keeps all of its bits where a float is fine,
next to zero; each map below puts the tail that matters there.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor


class Noise(Protocol):
    """A sampler of base noise: `shape`, `dtype` and `device` to independent draws."""

    def __call__(
        self, shape: torch.Size, *, dtype: torch.dtype, device: torch.device
    ) -> Tensor: ...


def uniform(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uniform(0, 1), never 0 or 1."""
    return _draw(uniform_from_integer, shape, dtype, device)


def gumbel(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Gumbel(0, 1), up to 22.1 in float32 and 44.3 in float64."""
    return _draw(gumbel_from_integer, shape, dtype, device)


def logistic(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Logistic(0, 1), symmetric tails up to 22.8 in float32 and 45.0 in float64."""
    return _draw(logistic_from_integer, shape, dtype, device)


def normal(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Normal(0, 1)."""
    return torch.randn(shape, dtype=dtype, device=device)


def uniform_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to (0, 1); the largest go below 1, not to it."""
    return _fraction(integer & torch.iinfo(integer.dtype).max)


def gumbel_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to `-log E`, `E = -log(1 - U)` exponential.

    The upper tail of the Gumbel is small `E`, hence small `U`, where the fraction is finest.
    """
    return uniform_from_integer(integer).neg_().log1p_().neg_().log_().neg_()


def logistic_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to `±logit(U / 2)`, the sign from its sign bit.

    Both tails are small `U`, where the fraction is finest.
    """
    tail = uniform_from_integer(integer).mul_(0.5)
    lower = tail.log() - tail.neg_().log1p_()
    return torch.where(integer < 0, lower, -lower)


def _fraction(integer: Tensor) -> Tensor:
    bits = torch.iinfo(integer.dtype).bits - 1
    dtype = torch.float32 if integer.dtype == torch.int32 else torch.float64
    # Half a step away from 0, and shrunk by half an ulp so that the largest cannot round to 1.
    scale = 2.0**-bits * (1 - torch.finfo(dtype).eps / 2)
    return integer.to(dtype).add_(0.5).mul_(scale)


def _draw(
    law: Callable[[Tensor], Tensor], shape: torch.Size, dtype: torch.dtype, device: torch.device
) -> Tensor:
    width = torch.int64 if dtype == torch.float64 else torch.int32
    limits = torch.iinfo(width)
    # Not `random_`: torch.compile and torch.func.vmap know no way through it.
    integer = torch.randint(limits.min, limits.max, shape, dtype=width, device=device)
    return law(integer).to(dtype)
