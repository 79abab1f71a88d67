"""The distributions that are drawn: each in both packages, with its samples."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

import relaxit_torch
from relaxit_reference import Spec
from relaxit_reference.comparison.draws import place_parameters
from relaxit_reference.domains import Array
from relaxit_reference.testing.statistics import ALARM_RATE, sample_against_density

SAMPLES = 100_000

TEMPERATURES = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class DrawnDistribution:
    """One distribution in both packages, with its samples."""

    spec: Spec
    parameters: Mapping[str, Array]
    shown: tuple[str, ...]
    """The names of the parameters that the title shows."""

    @cached_property
    def reference(self) -> Any:
        """The reference distribution, whose density is drawn."""
        return self.spec.reference_class(**self.parameters, **self.spec.arguments)

    @cached_property
    def torch(self) -> Any:
        """The torch distribution, whose samples are drawn."""
        given = {name: torch.tensor(value) for name, value in self.parameters.items()}
        return torch_class(self.spec)(**given, **self.spec.arguments)

    @cached_property
    def samples(self) -> Array:
        """Samples of the torch distribution, `(SAMPLES, *event_shape)`.

        Raises:
            ValueError: the samples do not have the density that is drawn over them.
        """
        torch.manual_seed(0)
        samples = self.torch.sample((SAMPLES,)).numpy()
        p_value = sample_against_density(samples, self.reference)
        if p_value < ALARM_RATE:
            raise ValueError(
                f"{self.spec} at {self.title}: samples do not have the density of the reference"
            )
        return np.asarray(samples)

    @property
    def title(self) -> str:
        """The parameters that differ between the distributions of one picture."""
        return "\n".join(f"{name} = {rounded(self.parameters[name])}" for name in self.shown)

    @property
    def dimensions(self) -> int:
        """The number of free coordinates of a value; 0 if there are finitely many values."""
        return 0 if self.spec.discrete else self.reference.chart.chart_dim(self.torch.event_shape)


def torch_class(spec: Spec) -> Any:
    """The class in `relaxit_torch`, or the module of a map."""
    return getattr(relaxit_torch, spec.classes.torch)


def drawn_distributions(spec: Spec) -> list[DrawnDistribution]:
    """Four distributions: at four temperatures, or with four sets of parameters."""
    names = spec.parameterisations()[0]
    if "temperature" in names:
        chosen = place(spec, tuple(name for name in names if name != "temperature"), 0)
        return [
            DrawnDistribution(
                spec, {**chosen, "temperature": np.asarray(temperature)}, ("temperature",)
            )
            for temperature in TEMPERATURES
        ]
    return [DrawnDistribution(spec, place(spec, names, start), names) for start in range(4)]


def place(spec: Spec, names: tuple[str, ...], start: int) -> dict[str, Array]:
    """Parameters in their moderate ranges, spread by multiples of the golden ratio."""
    drawn = start

    def spread(shape: tuple[int, ...]) -> Array:
        nonlocal drawn
        steps = drawn + np.arange(np.prod(shape, dtype=int))
        drawn += len(steps)
        return np.asarray((0.3 + steps * (np.sqrt(5) - 1) / 2) % 1).reshape(shape)

    shapes = dict.fromkeys(names, ())
    return place_parameters(spec, names, shapes, spec.sizes[0], spec.moderate, np.float64, spread)


def rounded(value: Array) -> str:
    """Numbers with three digits, for a title."""
    if value.ndim == 0:
        return f"{value:.3g}"
    return "(" + ", ".join(rounded(entry) for entry in value) + ")"
