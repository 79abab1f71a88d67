"""Independent streams of random numbers, each named by what it is for.

Noise depends on the seed and on its place in the run (the step, the block of images), never on what
was drawn before. So an interrupted run continues as if nothing had happened, and an evaluation does
not depend on how the images are distributed over batches and processes.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_for(purpose: str, *numbers: int) -> int:
    """Returns a seed of 64 bits. Seeds for different arguments are unrelated."""
    entropy = [zlib.crc32(purpose.encode()), *numbers]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


@contextmanager
def drawn_from(purpose: str, *numbers: int, device: torch.device | None = None) -> Iterator[None]:
    """Draws from this stream inside the context. The caller's random state is left alone."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        draw_from(purpose, *numbers, device=device)
        yield


def draw_from(purpose: str, *numbers: int, device: torch.device | None = None) -> None:
    """Draws from this stream from now on.

    `torch.manual_seed` takes a fifth of a training step: it also prepares seeds for devices that
    are not used, each with a formatted stack.
    """
    seed = seed_for(purpose, *numbers)
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(seed)
