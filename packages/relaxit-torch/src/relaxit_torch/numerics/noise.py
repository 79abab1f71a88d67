"""Base noise that does not depend on parameters, from random integers to full-range tails.

`torch.rand` in float32 is a multiple of 2^-24. It returns 0, whose logarithm is infinite, and
`-log(-log(rand()))` never exceeds 16.6, so that with 10^5 and more categories the largest Gumbel
variables tie. An integer whose bits are all random, divided by its range, keeps all bits where a
float is fine: next to zero. Each map below puts the tail that matters there.
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from relaxit_torch.numerics.kernels import Shortcut

_STEP = {
    torch.float32: 2.0**-31 * (1 - torch.finfo(torch.float32).eps),
    torch.float64: 2.0**-63 * (1 - torch.finfo(torch.float64).eps),
}
"""The factor that brings the largest integer to 1, less an ulp so that none is rounded to 1."""


class Noise(Protocol):
    """A sampler of base noise: `shape`, `dtype` and `device` to independent draws."""

    def __call__(
        self, shape: torch.Size, *, dtype: torch.dtype, device: torch.device
    ) -> Tensor: ...


def uniform(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uniform(0, 1), never 0 or 1, unless a dtype of half precision rounds it to 1."""
    return uniform_from_integer(random_integers(shape, dtype, device)).to(dtype)


def gumbel(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Gumbel(0, 1), up to 22.1 in float32 and 44.3 in float64."""
    return gumbel_from_integer(random_integers(shape, dtype, device)).to(dtype)


def logistic(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Logistic(0, 1), with tails up to 22.8 in float32 and 45.0 in float64."""
    return logistic_from_integer(random_integers(shape, dtype, device)).to(dtype)


def normal(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Normal(0, 1)."""
    # Here and below a tuple: torch takes as long to read a `Size` as for a small kernel.
    return torch.randn(tuple(shape), dtype=dtype, device=device)


def uniform_from_integer(integer: Tensor) -> Tensor:
    """An integer with all its bits random, mapped to (0, 1); the largest go below 1, not to it."""
    signed = _odd_halves(integer)
    return signed.abs_().mul_(_STEP[signed.dtype])


def gumbel_from_integer(integer: Tensor) -> Tensor:
    """An integer with all its bits random, mapped to `-log E`, `E = -log(1 - U)` exponential.

    The upper tail of the Gumbel distribution is small `E`, hence small `U`.
    """
    signed = _odd_halves(integer)
    return signed.abs_().mul_(-_STEP[signed.dtype]).log1p_().neg_().log_().neg_()


def logistic_from_integer(integer: Tensor) -> Tensor:
    """An integer with all its bits random, mapped to `±logit(U / 2)` by its size and its sign."""
    signed = _odd_halves(integer)
    return signed.abs().mul_(0.5 * _STEP[signed.dtype]).logit_().copysign_(signed)


def _odd_halves(integer: Tensor) -> Tensor:
    """Integers plus 1/2, as floats: as many on each side of 0, and none at it."""
    return integer.to(torch.float32 if integer.dtype == torch.int32 else torch.float64).add_(0.5)


class RandomIntegers(Shortcut):
    """Integers with all their bits random: int64 for float64, else int32."""

    @staticmethod
    def plain(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
        width = torch.int64 if dtype == torch.float64 else torch.int32
        limits = torch.iinfo(width)
        return torch.randint(limits.min, limits.max, shape, dtype=width, device=device)

    @staticmethod
    def apply(shape: torch.Size, dtype: torch.dtype, device: torch.device) -> Tensor:
        # Words of 64 bits hold two integers of 32: half as many random draws.
        width = torch.int64 if dtype == torch.float64 else torch.int32
        count = shape.numel()
        words = count if width == torch.int64 else (count + 1) // 2
        drawn = torch.empty(words, dtype=torch.int64, device=device).random_(-(2**63), None)
        return drawn.view(width)[:count].view(tuple(shape))


random_integers = RandomIntegers.call
