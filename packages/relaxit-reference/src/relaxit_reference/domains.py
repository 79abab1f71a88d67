"""The regions in which parameters and values live: a predicate, words, and coordinates.

The only list of domains; `specs/README.md` describes the same list for people. A continuous domain
has a chart, free coordinates on R^d in which densities are integrated and values are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

import numpy as np
from numpy.typing import DTypeLike, NDArray
from scipy.special import expit, log_expit, log_softmax, logit, logsumexp

Array = NDArray[np.float64]

Numeric: TypeAlias = Any
"""A number, a sequence of them or an array: NumPy's own `ArrayLike` has no arithmetic."""

SUM_TOLERANCE = 1e-6
"""How far the sum of a point of the simplex may be from 1: single precision is enough."""


@dataclass(frozen=True)
class Domain:
    """A region of the last `event_dim` dimensions of an array."""

    event_dim: ClassVar[int] = 0
    discrete: ClassVar[bool] = False

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        """Whether each event of `value` lies in the domain; NaN never does."""
        raise NotImplementedError

    def describe(self) -> str:
        """The domain in words that complete "must be"."""
        raise NotImplementedError

    def from_chart(self, coordinates: Array) -> Array:
        """Maps `(..., d)` free coordinates to points."""
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def to_chart(self, value: Array) -> Array:
        """The inverse of `from_chart`."""
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def log_jacobian(self, coordinates: Array) -> Array:
        """The log density of the base measure in the coordinates, `(...)`."""
        raise NotImplementedError(f"points that are {self.describe()} have no coordinates")

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        """The number of free coordinates of an event."""
        return 1

    def states(self, event_shape: tuple[int, ...]) -> Array:
        """All points of a finite domain, `(states, *event_shape)`."""
        raise NotImplementedError(f"points that are {self.describe()} cannot be listed")

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        """Maps numbers in [0, 1] to points of the typical range; 0 may go to an end point."""
        raise NotImplementedError(f"points that are {self.describe()} have no typical range")

    def end_points(self) -> list[Any]:
        """Events at the ends of the domain, inside it or not: `contains` tells."""
        return []

    def outside(self) -> list[Any]:
        """Events that do not lie in the domain, NaN among them."""
        raise NotImplementedError


@dataclass(frozen=True)
class Real(Domain):
    """Finite real numbers."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(value))

    def describe(self) -> str:
        return "finite"

    def from_chart(self, coordinates: Array) -> Array:
        return coordinates[..., 0]

    def to_chart(self, value: Array) -> Array:
        return value[..., None]

    def log_jacobian(self, coordinates: Array) -> Array:
        return np.zeros(coordinates.shape[:-1])

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        low, high = typical
        return low + (high - low) * unit

    def end_points(self) -> list[Any]:
        return [np.inf, -np.inf]

    def outside(self) -> list[Any]:
        return [np.inf, -np.inf, np.nan]


@dataclass(frozen=True)
class Positive(Domain):
    """Positive finite numbers."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(value) & (np.asarray(value) > 0))

    def describe(self) -> str:
        return "positive and finite"

    def from_chart(self, coordinates: Array) -> Array:
        return np.exp(coordinates[..., 0])

    def to_chart(self, value: Array) -> Array:
        return np.log(value)[..., None]

    def log_jacobian(self, coordinates: Array) -> Array:
        return coordinates[..., 0]

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return np.exp(Real().place(unit, (np.log(typical[0]), np.log(typical[1]))))

    def end_points(self) -> list[Any]:
        return [0.0, np.inf]

    def outside(self) -> list[Any]:
        return [0.0, -1.0, np.inf, np.nan]


@dataclass(frozen=True)
class Above(Domain):
    """Finite numbers greater than `low`."""

    low: float

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(value) & (np.asarray(value) > self.low))

    def describe(self) -> str:
        return f"above {self.low:g} and finite"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return Real().place(unit, typical)

    def end_points(self) -> list[Any]:
        return [self.low, np.inf]

    def outside(self) -> list[Any]:
        return [self.low, self.low - 0.5, np.inf, np.nan]


@dataclass(frozen=True)
class Below(Domain):
    """Finite numbers less than `high`."""

    high: float

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(value) & (np.asarray(value) < self.high))

    def describe(self) -> str:
        return "negative and finite" if self.high == 0 else f"below {self.high:g} and finite"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return Real().place(unit, typical)

    def end_points(self) -> list[Any]:
        return [self.high, -np.inf]

    def outside(self) -> list[Any]:
        return [self.high, self.high + 0.5, -np.inf, np.nan]


@dataclass(frozen=True)
class Interval(Domain):
    """Numbers between `low` and `high`; `closed` tells which ends belong to the domain."""

    low: float
    high: float
    closed: tuple[bool, bool] = (True, True)

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        above = x >= self.low if self.closed[0] else x > self.low
        below = x <= self.high if self.closed[1] else x < self.high
        return above & below

    def describe(self) -> str:
        left, right = "[" if self.closed[0] else "(", "]" if self.closed[1] else ")"
        return f"in the interval {left}{self.low:g}, {self.high:g}{right}"

    def from_chart(self, coordinates: Array) -> Array:
        return self.low + (self.high - self.low) * expit(coordinates[..., 0])

    def to_chart(self, value: Array) -> Array:
        return logit((value - self.low) / (self.high - self.low))[..., None]

    def log_jacobian(self, coordinates: Array) -> Array:
        t = coordinates[..., 0]
        return np.asarray(np.log(self.high - self.low) + log_expit(t) + log_expit(-t))

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        ends = self.to_chart(np.asarray(typical))[:, 0]
        return self.from_chart(Real().place(unit, (ends[0], ends[1]))[..., None])

    def end_points(self) -> list[Any]:
        return [self.low, self.high]

    def outside(self) -> list[Any]:
        ends = [end for end in self.end_points() if not self.contains(end)]
        return [*ends, self.low - 0.5, self.high + 0.5, np.nan]


@dataclass(frozen=True)
class Simplex(Domain):
    """Non-negative vectors with a sum of 1; coordinates `log c_k - log c_K`."""

    event_dim: ClassVar[int] = 1

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray(
            np.all(x >= 0, axis=-1) & (np.abs(np.sum(x, axis=-1) - 1) <= SUM_TOLERANCE)
        )

    def describe(self) -> str:
        return "non-negative with a sum of 1"

    def from_chart(self, coordinates: Array) -> Array:
        return np.exp(LogSimplex().from_chart(coordinates))

    def to_chart(self, value: Array) -> Array:
        return np.log(value[..., :-1]) - np.log(value[..., -1:])

    def log_jacobian(self, coordinates: Array) -> Array:
        return np.asarray(LogSimplex().from_chart(coordinates).sum(-1))

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        return event_shape[-1] - 1

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        weights = Real().place(unit, typical)
        total = np.sum(weights, axis=-1, keepdims=True)
        return np.asarray(
            np.where(total > 0, weights, 1.0) / np.where(total > 0, total, unit.shape[-1])
        )

    def end_points(self) -> list[Any]:
        return [[1.0, 0.0, 0.0], [0.0, 0.5, 0.5]]

    def outside(self) -> list[Any]:
        return [[0.5, 0.6, 0.0], [1.5, -0.5, 0.0], [np.nan, 0.5, 0.5], [0.0, 0.0, 0.0]]


@dataclass(frozen=True)
class LogSimplex(Domain):
    """Logarithms of the points of a simplex; coordinates `y_k - y_K`, whose measure is the base."""

    event_dim: ClassVar[int] = 1

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray(
            np.all(x < np.inf, axis=-1) & (np.abs(logsumexp(x, axis=-1)) <= SUM_TOLERANCE)
        )

    def describe(self) -> str:
        return "logarithms whose exponentials have a sum of 1"

    def from_chart(self, coordinates: Array) -> Array:
        last = np.zeros((*coordinates.shape[:-1], 1))
        return log_softmax(np.concatenate([coordinates, last], axis=-1), axis=-1)

    def to_chart(self, value: Array) -> Array:
        return value[..., :-1] - value[..., -1:]

    def log_jacobian(self, coordinates: Array) -> Array:
        return np.zeros(coordinates.shape[:-1])

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        return event_shape[-1] - 1

    def outside(self) -> list[Any]:
        return [[0.0, 0.0, 0.0], [np.nan, 0.0, -1.0], [-1.0, -2.0, -3.0]]


@dataclass(frozen=True)
class CategoryLogits(Domain):
    """Finite numbers or -inf (a category that is never chosen), one of them finite."""

    event_dim: ClassVar[int] = 1

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray(np.all(x < np.inf, axis=-1) & np.any(np.isfinite(x), axis=-1))

    def describe(self) -> str:
        return "finite or -inf, with a finite entry in each row"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        impossible = (unit == 0) & np.any(unit > 0, axis=-1, keepdims=True)
        return np.where(impossible, -np.inf, Real().place(unit, typical))

    def end_points(self) -> list[Any]:
        return [[0.0, -np.inf, 1.0], [-np.inf, 0.0, -np.inf], [np.inf, 0.0, 0.0]]

    def outside(self) -> list[Any]:
        return [[-np.inf, -np.inf, -np.inf], [0.0, np.inf, 0.0], [np.nan, 0.0, 0.0]]


@dataclass(frozen=True)
class Boolean(Domain):
    """0 or 1."""

    discrete: ClassVar[bool] = True

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray((x == 0) | (x == 1))

    def describe(self) -> str:
        return "0 or 1"

    def states(self, event_shape: tuple[int, ...]) -> Array:
        return np.array([0.0, 1.0])

    def outside(self) -> list[Any]:
        return [0.5, -1.0, np.nan]


@dataclass(frozen=True)
class OneHot(Domain):
    """Vectors with one 1 among zeros."""

    event_dim: ClassVar[int] = 1
    discrete: ClassVar[bool] = True

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray(np.all((x == 0) | (x == 1), axis=-1) & (np.sum(x, axis=-1) == 1))

    def describe(self) -> str:
        return "one 1 among zeros"

    def states(self, event_shape: tuple[int, ...]) -> Array:
        return np.eye(event_shape[-1])

    def outside(self) -> list[Any]:
        return [[0.5, 0.5, 0.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0], [np.nan, 0.0, 1.0]]


KINDS: dict[str, type[Domain]] = {
    "real": Real,
    "positive": Positive,
    "above": Above,
    "below": Below,
    "interval": Interval,
    "simplex": Simplex,
    "log_simplex": LogSimplex,
    "category_logits": CategoryLogits,
    "boolean": Boolean,
    "one_hot": OneHot,
}


def from_table(table: Mapping[str, Any]) -> Domain:
    """The domain of a table such as `{ kind = "interval", low = 0.0, high = 1.0 }`.

    Raises:
        ValueError: no table, an unknown kind, or keys that the kind does not have.
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"must be a table, but got {table!r}")
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but got {kind!r}")
    try:
        return KINDS[kind](**arguments)
    except TypeError as error:
        raise ValueError(f"a domain of kind {kind!r} does not take these keys: {error}") from None


def nearest_interior(value: Numeric, dtype: DTypeLike = np.float64) -> Array:
    """Moves 0 and 1 to the numbers of `dtype` next to them inside (0, 1), and leaves all others."""
    x = np.asarray(value, dtype=np.float64)
    zero, one = np.zeros((), dtype), np.ones((), dtype)
    above, below = float(np.nextafter(zero, one)), float(np.nextafter(one, zero))
    return np.where(x == 0, above, np.where(x == 1, below, x))
