"""Gates that multiply features: random in training, fixed in evaluation, exactly 0 when closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.core.parameters import check_count
from relaxit_torch.core.relaxed_distribution import RelaxedDistribution


class Gates(nn.Module):
    """What all gates have in common: one for each feature, drawn anew for each example.

    In training an input `(*batch, *shape)` is multiplied by gates drawn from `distribution`. In
    evaluation it is multiplied by `deterministic_gate`, which is the same each time. The result has
    the shape and dtype of the input. A loss that adds a multiple of `penalty()` closes the gates of
    features that it can do without; `prune()` tells which are left.

    Args:
        shape: of the gates, an integer for a vector; a size of 1 stands for any size of the input,
            such as `(channels, 1, 1)` for one gate for each channel of an image.

    Raises:
        ValueError: a size that is no positive integer.
        NotImplementedError: by `distribution`, `deterministic_gate` and `prob_open`, which each
            class of gates defines.
    """

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__()
        sizes = shape if isinstance(shape, Sequence) else (shape,)
        self.shape = torch.Size(check_count("shape", size) for size in sizes)

    @property
    def distribution(self) -> RelaxedDistribution:
        """The law of the gates in training, of batch and event shape `shape` together."""
        raise NotImplementedError

    @property
    def deterministic_gate(self) -> Tensor:
        """The gates of evaluation, of shape `shape`; 0 for those that `prune` leaves out."""
        raise NotImplementedError

    @property
    def prob_open(self) -> Tensor:
        """The probability that each gate is open, of shape `shape`."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """The expected number of open gates, a number that a loss can weigh."""
        return self.prob_open.sum()

    @torch.no_grad()
    def prune(self) -> Tensor:
        """Which gates are open in evaluation: their indices, in order, `(kept,)`.

        Of gates of several dimensions, the indices into their flattened values. Features that are
        left out have a gate of 0, so that a network without them returns the same. Nothing is
        changed. The number of indices is a value, for which a GPU has to wait.
        """
        return self.deterministic_gate.flatten().nonzero().flatten()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Multiplies `input`, `(*batch, *shape)`, by the gates.

        Raises:
            TypeError: an input that is not floating-point.
            ValueError: an input whose shape does not end with that of the gates.
        """
        if not input.is_floating_point():
            raise TypeError(f"input must be floating-point numbers, but got {input.dtype}")
        leading = input.dim() - len(self.shape)
        features = input.shape[max(leading, 0) :]
        if leading < 0 or any(
            gate not in (1, size) for gate, size in zip(self.shape, features, strict=True)
        ):
            raise ValueError(
                f"input must have a shape that ends with {tuple(self.shape)}, "
                f"but got {tuple(input.shape)}"
            )
        if not self.training:
            return input * self.deterministic_gate.to(input.dtype)
        return input * self.distribution.rsample(input.shape[:leading]).to(input.dtype)

    def extra_repr(self) -> str:
        return f"{self.shape[0] if len(self.shape) == 1 else tuple(self.shape)}"


class GatesByLogits(Gates):
    """Gates whose parameter is the log-odds of each, and whose law has a temperature."""

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        initial_probs: float,
        temperature: float,
        device: Any,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(shape)
        check("initial_probs", initial_probs, constraints.open_unit_interval)
        check("temperature", temperature, constraints.positive)
        self.initial_probs, self.temperature = initial_probs, temperature
        self.logits = nn.Parameter(torch.empty(self.shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gives all gates their initial probability."""
        log_odds = math.log(self.initial_probs) - math.log1p(-self.initial_probs)
        nn.init.constant_(self.logits, log_odds)
