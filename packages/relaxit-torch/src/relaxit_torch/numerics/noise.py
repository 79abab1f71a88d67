"""Base noise that does not depend on parameters, from random integers to full-range tails.

`torch.rand` in float32 is a multiple of 2^-24: it returns 0, whose logarithm is infinite, and
`-log(-log(rand()))` never exceeds 16.6, so that with 10^5 and more categories the largest Gumbel
variables tie. A random integer divided by its range keeps all of its bits where a float is fine,
next to zero; each map below puts the tail that matters there.

Few float32 numbers come from doubles, whose 53 bits suffice wherever they are: each takes longer
to draw, but there are fewer kernels, of which the time consists then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import torch
from torch import Tensor

FEW = 2048
"""Up to so many numbers doubles take less time on a CPU. The limit is that of a GPU too, where they
save kernels: on most of them arithmetic of doubles is slow.
"""

_STEP = {
    torch.float32: 2.0**-31 * (1 - torch.finfo(torch.float32).eps),
    torch.float64: 2.0**-63 * (1 - torch.finfo(torch.float64).eps),
}
"""What brings the greatest integer to 1, less an ulp so that none is rounded to it."""

# On one kind of AMD processor `log1p` was measured to take twenty times as long, in the whole
# process, until `atanh` had been called once. The cause is not known.
torch.zeros(64, dtype=torch.float32, device="cpu").atanh()


class Noise(Protocol):
    """A sampler of base noise: `shape`, `dtype` and `device` to independent draws."""

    def __call__(
        self, shape: torch.Size, *, dtype: torch.dtype, device: torch.device
    ) -> Tensor: ...


def uniform(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Uniform(0, 1), never 0 or 1, unless a dtype of half precision rounds it to 1."""
    return _draw(uniform_from_integer, uniform_from_double, shape, dtype, device)


def gumbel(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Gumbel(0, 1), up to 22.1 in float32 (few numbers: 36.7) and 44.3 in float64."""
    return _draw(gumbel_from_integer, gumbel_from_double, shape, dtype, device)


def logistic(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Logistic(0, 1), tails up to 22.8 in float32 (few numbers: 36.7) and 45.0 in float64."""
    return _draw(logistic_from_integer, logistic_from_double, shape, dtype, device)


def normal(shape: torch.Size, *, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Normal(0, 1)."""
    # Here and below a tuple: torch takes as long to read a `Size` as for a small kernel.
    return torch.randn(tuple(shape), dtype=dtype, device=device)


def uniform_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to (0, 1); the largest go below 1, not to it."""
    signed = _odd_halves(integer)
    return signed.abs_().mul_(_STEP[signed.dtype])


def gumbel_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to `-log E`, `E = -log(1 - U)` exponential.

    The upper tail of the Gumbel is small `E`, hence small `U`, where the fraction is finest.
    """
    signed = _odd_halves(integer)
    return signed.abs_().mul_(-_STEP[signed.dtype]).log1p_().neg_().log_().neg_()


def logistic_from_integer(integer: Tensor) -> Tensor:
    """Maps an integer with all its bits random to `±logit(U / 2)`, the sign from its sign bit.

    Both tails are small `U`, where the fraction is finest.
    """
    tail = _odd_halves(integer)
    tail.abs_().mul_(0.5 * _STEP[tail.dtype]).logit_()
    # An integer has its sign bit where a float of its width has it.
    return tail.copysign_(integer.view(tail.dtype))


def uniform_from_double(uniform: Tensor) -> Tensor:
    """Overwrites a double in (0, 1) by one that float32 does not round to 1."""
    return uniform.mul_(1 - 2.0**-24)


def gumbel_from_double(uniform: Tensor) -> Tensor:
    """Overwrites a double in (0, 1) by `-log(-log U)`."""
    return uniform.log_().neg_().log_().neg_()


def logistic_from_double(uniform: Tensor) -> Tensor:
    """Overwrites a double in (0, 1) by its log-odds."""
    return uniform.logit_()


def _odd_halves(integer: Tensor) -> Tensor:
    """Integers plus 1/2, as floats: as many on each side of 0, and none at it."""
    return integer.to(torch.float32 if integer.dtype == torch.int32 else torch.float64).add_(0.5)


def _draw(
    of_integer: Callable[[Tensor], Tensor],
    of_double: Callable[[Tensor], Tensor],
    shape: torch.Size,
    dtype: torch.dtype,
    device: torch.device,
) -> Tensor:
    # In compiled code a comparison of the number would be a guard on the shape.
    if dtype != torch.float64 and not torch.compiler.is_compiling() and shape.numel() <= FEW:
        doubles = _random_doubles(shape, device)
        if doubles is not None:
            return of_double(doubles).to(dtype)
    drawn = of_integer(_random_bits(shape, dtype == torch.float64, device))
    return drawn if drawn.dtype == dtype else drawn.to(dtype)


def _random_doubles(shape: torch.Size, device: torch.device) -> Tensor | None:
    """Doubles in (0, 1); None where there are none."""
    if device.type == "mps":
        return None
    try:
        # Of the multiples of 2^-53 that torch draws 0 goes to 2^-55, and none to 1.
        return torch.empty(tuple(shape), dtype=torch.float64, device=device).uniform_(2**-55, 1)
    except RuntimeError:  # torch.func.vmap refuses random numbers in place
        return None


def _random_bits(shape: torch.Size, double: bool, device: torch.device) -> Tensor:
    """Integers with all their bits random: int64 for float64, else int32."""
    width = torch.int64 if double else torch.int32
    if not torch.compiler.is_compiling():
        # Words of 64 bits hold two integers of 32: half as many calls of the generator.
        count = shape.numel()
        bits = torch.empty(count if double else (count + 1) // 2, dtype=torch.int64, device=device)
        try:
            bits.random_(-(2**63), None)
        except RuntimeError:  # torch.func.vmap refuses random numbers in place
            pass
        else:
            integers = bits.view(width)
            return (integers if integers.numel() == count else integers[:count]).view(tuple(shape))
    limits = torch.iinfo(width)
    return torch.randint(limits.min, limits.max, shape, dtype=width, device=device)
