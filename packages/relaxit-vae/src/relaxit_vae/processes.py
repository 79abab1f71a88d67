"""Helpers for runs in several processes, which Lightning starts."""

import torch
from lightning.pytorch.utilities import rank_zero_only


def is_first_process() -> bool:
    """Whether this process writes and reports: it is the only one, or the first of several."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)


def end_processes() -> None:
    """Leaves the group of processes, if there is one. Its threads must not outlive `main`."""
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()
