"""What every domain is: a predicate, words, and, for a continuum, free coordinates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

Numeric: TypeAlias = Any
"""A number, a sequence of them or an array: NumPy's own `ArrayLike` has no arithmetic."""

SUM_TOLERANCE = 1e-6
"""How far the sum of a point of the simplex may be from 1, or the diagonal of a correlation matrix:
single precision is enough."""


class Chart(Protocol):
    """Free coordinates on R^d of the points of a continuum, which a domain or a law may have."""

    def from_chart(self, coordinates: Array) -> Array:
        """Maps `(..., d)` free coordinates to points."""
        ...

    def to_chart(self, value: Array) -> Array:
        """The inverse of `from_chart`."""
        ...

    def log_jacobian(self, coordinates: Array) -> Array:
        """The log density of the base measure in the coordinates, `(...)`."""
        ...

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        """The number of free coordinates of an event."""
        ...


@dataclass(frozen=True)
class Domain(Chart):
    """A region of the last `event_dim` dimensions of an array."""

    @property
    def event_dim(self) -> int:
        """The dimensions of one point: 0 for a number, 1 for a vector, 2 for a matrix."""
        return 0

    @property
    def discrete(self) -> bool:
        """Whether the domain is a finite set."""
        return False

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        """Whether each event of `value` lies in the domain; NaN never does."""
        raise NotImplementedError

    def describe(self) -> str:
        """The domain in words that complete "must be"."""
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
        """Maps numbers in [0, 1] to points of the typical range; 0 may go to an end point."""
        raise NotImplementedError(f"points that are {self.describe()} have no typical range")

    def inside(self, size: int = 3) -> Any:
        """A point in the middle of the domain; vectors and matrices have `size` entries in each
        dimension, here and below.
        """
        raise NotImplementedError

    def end_points(self, size: int = 3) -> list[Any]:
        """Events at the ends of the domain, inside it or not: `contains` tells."""
        return []

    def outside(self, size: int = 3) -> list[Any]:
        """Events that do not lie in the domain, NaN among them."""
        raise NotImplementedError
