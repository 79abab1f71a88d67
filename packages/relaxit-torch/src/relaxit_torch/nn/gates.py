"""Gates that multiply features: random in training, fixed in evaluation."""

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
    """The base class of all gates: one gate for each feature.

    In training, an input `(*batch, *shape)` is multiplied by gates drawn from `distribution`, anew
    for each example. In evaluation, it is multiplied by `deterministic_gate`. The result has the
    shape and dtype of the input. Add a multiple of `penalty()` to a loss, and the gates of features
    that it does not need will close. `prune()` returns the features that are left.

    A subclass defines `distribution`, `deterministic_gate` and `prob_open`.

    Args:
        shape: The shape of the gates; an integer gives a vector. A size of 1 fits any size of the
            input: `(channels, 1, 1)` is one gate for each channel of an image.

    Raises:
        ValueError: A size is not a positive integer.
    """

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__()
        sizes = shape if isinstance(shape, Sequence) else (shape,)
        self.shape = torch.Size(check_count("shape", size) for size in sizes)

    @property
    def distribution(self) -> RelaxedDistribution:
        """The distribution of the gates in training, of batch plus event shape `shape`."""
        raise NotImplementedError

    @property
    def deterministic_gate(self) -> Tensor:
        """The gates in evaluation, of shape `shape`. A closed gate is exactly 0."""
        raise NotImplementedError

    @property
    def prob_open(self) -> Tensor:
        """The probability that each gate is open, of shape `shape`."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """The expected number of open gates, a 0-dimensional tensor with gradient."""
        return self.prob_open.sum()

    @torch.no_grad()
    def prune(self) -> Tensor:
        """The indices of the gates that are open in evaluation, ascending, `(kept,)`.

        Indices refer to the flattened gates. A network without the other features returns the same,
        because their gates are 0. The module is not changed. This synchronises a GPU.
        """
        return self.deterministic_gate.flatten().nonzero().flatten()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Multiplies `input`, `(*batch, *shape)`, by the gates.

        Raises:
            TypeError: `input` is not floating-point.
            ValueError: The shape of `input` does not end with `shape`.
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
    """Gates with one parameter each, its log-odds, and a distribution with a temperature."""

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
        """Sets all gates to their initial probability."""
        log_odds = math.log(self.initial_probs) - math.log1p(-self.initial_probs)
        nn.init.constant_(self.logits, log_odds)
