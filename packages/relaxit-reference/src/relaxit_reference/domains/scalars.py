"""Domains of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, log_expit, logit

from relaxit_reference.domains.domain import Array, Domain, Numeric


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

    def inside(self, size: int = 3) -> Any:
        return 0.0

    def end_points(self, size: int = 3) -> list[Any]:
        return [np.inf, -np.inf]

    def outside(self, size: int = 3) -> list[Any]:
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

    def inside(self, size: int = 3) -> Any:
        return 1.0

    def end_points(self, size: int = 3) -> list[Any]:
        return [0.0, np.inf]

    def outside(self, size: int = 3) -> list[Any]:
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

    def inside(self, size: int = 3) -> Any:
        return self.low + 1

    def end_points(self, size: int = 3) -> list[Any]:
        return [self.low, np.inf]

    def outside(self, size: int = 3) -> list[Any]:
        return [self.low, self.low - 0.5, np.inf, np.nan]


@dataclass(frozen=True)
class AtLeast(Above):
    """Finite numbers that are not less than `low`."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.isfinite(value) & (np.asarray(value) >= self.low))

    def describe(self) -> str:
        return "non-negative and finite" if self.low == 0 else f"at least {self.low:g} and finite"

    def outside(self, size: int = 3) -> list[Any]:
        return [self.low - 0.5, np.inf, np.nan]


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

    def inside(self, size: int = 3) -> Any:
        return self.high - 1

    def end_points(self, size: int = 3) -> list[Any]:
        return [self.high, -np.inf]

    def outside(self, size: int = 3) -> list[Any]:
        return [self.high, self.high + 0.5, -np.inf, np.nan]


@dataclass(frozen=True)
class Interval(Domain):
    """Numbers between `low` and `high`; `closed` says which ends belong to the domain."""

    low: float
    high: float
    closed: tuple[bool, bool] = (True, True)

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        above = x >= self.low if self.closed[0] else x > self.low
        below = x <= self.high if self.closed[1] else x < self.high
        return np.asarray(above & below)

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

    def inside(self, size: int = 3) -> Any:
        return (self.low + self.high) / 2

    def end_points(self, size: int = 3) -> list[Any]:
        return [self.low, self.high]

    def outside(self, size: int = 3) -> list[Any]:
        ends = [end for end in self.end_points() if not self.contains(end)]
        return [*ends, self.low - 0.5, self.high + 0.5, np.nan]


@dataclass(frozen=True)
class Boolean(Domain):
    """0 or 1."""

    @property
    def discrete(self) -> bool:
        return True

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray((x == 0) | (x == 1))

    def describe(self) -> str:
        return "0 or 1"

    def states(self, event_shape: tuple[int, ...]) -> Array:
        return np.array([0.0, 1.0])

    def inside(self, size: int = 3) -> Any:
        return 1.0

    def outside(self, size: int = 3) -> list[Any]:
        return [0.5, -1.0, np.nan]


@dataclass(frozen=True)
class Integer(Domain):
    """Whole numbers of at least `low`. A constructor takes such a count as a Python integer."""

    low: int

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray((x >= self.low) & (x == np.floor(x)) & np.isfinite(x))

    def describe(self) -> str:
        return f"an integer of at least {self.low}"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return np.floor(Real().place(unit, typical))

    def inside(self, size: int = 3) -> Any:
        return self.low

    def end_points(self, size: int = 3) -> list[Any]:
        return [self.low]

    def outside(self, size: int = 3) -> list[Any]:
        return [self.low - 1, self.low + 0.5, np.nan]
