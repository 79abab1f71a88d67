"""Independent streams of random numbers, each named by what it is for.

Noise is a function of the seed and of its place in the run (the step, the block of images), never
of what was drawn before. So a run that was interrupted goes on as if it had not been, and an
evaluation does not depend on how the images are distributed over batches and processes.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch


def seed_for(purpose: str, *numbers: int) -> int:
    """A seed of 64 bits, unrelated for any two different arguments."""
    entropy = [zlib.crc32(purpose.encode()), *numbers]
    return int(np.random.SeedSequence(entropy).generate_state(1, np.uint64)[0])


@contextmanager
def drawn_from(purpose: str, *numbers: int, device: torch.device | None = None) -> Iterator[None]:
    """Draw from this stream inside, and leave the caller's random state as it was."""
    devices = [device] if device is not None and device.type == "cuda" else []
    with torch.random.fork_rng(devices=devices):
        draw_from(purpose, *numbers, device=device)
        yield


def draw_from(purpose: str, *numbers: int, device: torch.device | None = None) -> None:
    """Draw from this stream from now on.

    `torch.manual_seed` would prepare seeds for devices that nobody has asked for, each with a
    formatted stack: a fifth of a step of training.
    """
    seed = seed_for(purpose, *numbers)
    torch.default_generator.manual_seed(seed)
    if device is not None and device.type == "cuda":
        torch.cuda.manual_seed(seed)
