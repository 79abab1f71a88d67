"""Which of several processes this is."""

from lightning.pytorch.utilities import rank_zero_only


def is_first_process() -> bool:
    """Whether this is the only process, or the one among several that writes and reports."""
    return bool(getattr(rank_zero_only, "rank", 0) == 0)
