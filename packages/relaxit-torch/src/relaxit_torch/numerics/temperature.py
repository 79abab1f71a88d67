"""The one division by a temperature in the library."""

from __future__ import annotations

import torch
from torch import Tensor


def tempered(scores: Tensor, temperature: float | Tensor) -> Tensor:
    """`scores / temperature`; an infinite score stays infinite, and its gradient is not NaN.

    Args:
        scores: any floating dtype.
        temperature: a number, or a tensor that broadcasts against `scores`.
    """
    if not isinstance(temperature, Tensor):
        return scores / temperature
    # The derivative of inf / temperature is infinite, and 0 * inf is NaN.
    finite = scores.isfinite()
    return torch.where(finite, torch.where(finite, scores, 0) / temperature, scores)
