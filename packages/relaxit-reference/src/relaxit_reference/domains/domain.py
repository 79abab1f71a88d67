"""The base of every domain."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Numeric: TypeAlias = Any
"""A number, a sequence of numbers, or an array. NumPy's own `ArrayLike` has no arithmetic."""

SUM_TOLERANCE = 1e-6
"""The largest distance from 1 of the sum of a simplex point, or of a correlation matrix's diagonal.

Single precision is enough for it.
"""


class Chart(Protocol):
    """Free coordinates on R^d for the points of a domain, or for the values of a distribution."""

    def from_chart(self, coordinates: Array) -> Array:
        """The points with these free coordinates, `(..., d)`."""
        ...

    def to_chart(self, value: Array) -> Array:
        """The inverse of `from_chart`."""
        ...

    def log_jacobian(self, coordinates: Array) -> Array:
        """The log density of the base measure with respect to the coordinates, `(...)`."""
        ...

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        """The number of free coordinates of an event."""
        ...


@dataclass(frozen=True)
class Domain(Chart):
    """A set of points, each the last `event_dim` dimensions of an array.

    The methods below that give single points take `size`: the entries in each dimension of a vector
    or matrix.
    """

    @property
    def event_dim(self) -> int:
        """The number of dimensions of a point: 0 for a number, 1 for a vector, 2 for a matrix."""
        return 0

    @property
    def discrete(self) -> bool:
        """Whether the domain is a finite set."""
        return False

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        """Whether each point of `value` lies in the domain; NaN never does."""
        raise NotImplementedError

    def describe(self) -> str:
        """The domain in words that follow "must be"."""
        raise NotImplementedError

    def from_chart(self, coordinates: Array) -> Array:
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def to_chart(self, value: Array) -> Array:
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def log_jacobian(self, coordinates: Array) -> Array:
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        return 1

    def states(self, event_shape: tuple[int, ...]) -> Array:
        """All points of a finite domain, `(states, *event_shape)`."""
        raise NotImplementedError(f"points that are {self.describe()} cannot be listed")

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        """Points of the typical range, from numbers in [0, 1]. 0 may give an end point."""
        raise NotImplementedError(f"points that are {self.describe()} have no typical range")

    def inside(self, size: int = 3) -> Any:
        """A point in the middle of the domain."""
        raise NotImplementedError

    def end_points(self, size: int = 3) -> list[Any]:
        """Points at the ends of the domain, inside or outside it."""
        return []

    def outside(self, size: int = 3) -> list[Any]:
        """Points outside the domain, NaN among them."""
        raise NotImplementedError
