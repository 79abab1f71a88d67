"""Parameters of a specification, from numbers in [0, 1] or from a random generator."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from relaxit_reference.domains import Array, Domain
from relaxit_reference.spec import Spec

# All but 10^-12 of normal noise, and 13 orders of magnitude of the tails of Gumbel and logistic
# noise, which float32 must survive too.
NOISE_RANGE = {
    "uniform": (1e-9, 1 - 1e-9),
    "normal": (-7.0, 7.0),
    "gumbel": (-3.3, 30.0),
    "logistic": (-30.0, 30.0),
}

Ranges = Mapping[str, tuple[float, float]]
DrawUnit = Callable[[tuple[int, ...]], Array]


def place_parameters(
    spec: Spec,
    names: tuple[str, ...],
    shapes: Mapping[str, tuple[int, ...]],
    categories: int,
    ranges: Ranges,
    dtype: Any,
    draw_unit: DrawUnit,
) -> dict[str, Array]:
    """Parameters with batch shapes `shapes`, in `ranges` or otherwise in their typical ranges.

    Raises:
        ValueError: a parameter has no range.
    """
    chosen = {}
    for name in names:
        parameter = spec.parameters[name]
        typical = ranges.get(name, parameter.typical)
        if typical is None:
            raise ValueError(f"{spec.name}.toml: parameters.{name}: no typical range to draw from")
        event = tuple(_size(dimension, categories) for dimension in parameter.shape)
        placed = parameter.domain.place(draw_unit((*shapes[name], *event)), typical)
        # Rounded to the precision under test, so that both sides get the same numbers.
        chosen[name] = np.asarray(placed).astype(dtype).astype(np.float64)
    return chosen


def _size(dimension: str, categories: int) -> int:
    base, minus, less = dimension.partition("-")
    return int(base) if base.isdigit() else categories - int(less if minus else 0)


def random_parameters(
    spec: Spec,
    random: np.random.Generator,
    *,
    names: tuple[str, ...] | None = None,
    batch_shape: tuple[int, ...] = (),
    categories: int | None = None,
    ranges: Ranges | None = None,
    dtype: Any = np.float64,
) -> dict[str, Array]:
    """Parameters of the full batch shape, for a statistical test."""
    names = spec.parameterisations()[-1] if names is None else names
    categories = spec.sizes[0] if categories is None else categories
    shapes = dict.fromkeys(names, batch_shape)
    return place_parameters(spec, names, shapes, categories, ranges or {}, dtype, random.random)


def accepted_and_refused(domain: Domain, size: int = 3) -> list[tuple[Any, bool]]:
    """Points at the ends of a domain, outside it and NaN, each with whether the domain has it."""
    events = [*domain.end_points(size), *domain.outside(size)]
    return [(event, bool(np.all(domain.contains(event)))) for event in events]
