"""Several processes, which Lightning starts."""

import torch
from lightning.pytorch.utilities import rank_zero_only


def is_first_process() -> bool:
    """Whether this is the only process, or the one among several that writes and reports."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def end_processes() -> None:
    """Leave the group of processes, if there is one: threads of it must not outlive `main`."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
