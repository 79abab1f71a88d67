"""Domains of vectors, and of matrices with such rows."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_softmax, logsumexp

from relaxit_reference.domains.domain import SUM_TOLERANCE, Array, Domain, Numeric
from relaxit_reference.domains.scalars import Real


@dataclass(frozen=True)
class Simplex(Domain):
    """Non-negative vectors with a sum of 1, of which at least `least` entries are positive.

    Coordinates: `log c_k - log c_K`.
    """

    least: int = 1

    @property
    def event_dim(self) -> int:
        return 1

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        enough = np.sum(x > 0, axis=-1) >= self.least
        total = np.abs(np.sum(x, axis=-1) - 1) <= SUM_TOLERANCE
        return np.asarray(np.all(x >= 0, axis=-1) & total & enough)

    def describe(self) -> str:
        positive = f", of at least {self.least} positive entries" if self.least > 1 else ""
        return f"non-negative with a sum of 1{positive}"

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
        # Smaller weights may be rounded to 0.
        positive = weights > np.finfo(np.float32).tiny
        enough = np.sum(positive, axis=-1, keepdims=True) >= self.least
        weights = np.where(enough, weights, 1.0)
        return np.asarray(weights / np.sum(weights, axis=-1, keepdims=True))

    def inside(self, size: int = 3) -> Any:
        return [1 / size] * size

    def end_points(self, size: int = 3) -> list[Any]:
        return [[1.0] + [0.0] * (size - 1), [0.0] + [1 / (size - 1)] * (size - 1)]

    def outside(self, size: int = 3) -> list[Any]:
        rest = [0.0] * (size - 2)
        return [[0.5, 0.6, *rest], [1.5, -0.5, *rest], [np.nan, 0.5, *rest], [0.0] * size]


@dataclass(frozen=True)
class LogSimplex(Domain):
    """Logarithms of the points of a simplex.

    Coordinates: `y_k - y_K`. The base measure is the Lebesgue measure on them.
    """

    @property
    def event_dim(self) -> int:
        return 1

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

    def inside(self, size: int = 3) -> Any:
        return [-float(np.log(size))] * size

    def outside(self, size: int = 3) -> list[Any]:
        return [[0.0] * size, [np.nan, 0.0, *[-1.0] * (size - 2)], [-float(size)] * size]


@dataclass(frozen=True)
class CategoryLogits(Domain):
    """Finite numbers or -inf (a category that is never chosen); at least `least` are finite."""

    least: int = 1

    @property
    def event_dim(self) -> int:
        return 1

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        enough = np.sum(np.isfinite(x), axis=-1) >= self.least
        return np.asarray(np.all(x < np.inf, axis=-1) & enough)

    def describe(self) -> str:
        finite = "a finite entry" if self.least == 1 else f"at least {self.least} finite entries"
        return f"finite or -inf, with {finite} in each row"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        impossible = (unit == 0) & (np.sum(unit > 0, axis=-1, keepdims=True) >= self.least)
        return np.where(impossible, -np.inf, Real().place(unit, typical))

    def inside(self, size: int = 3) -> Any:
        return [0.0] * size

    def end_points(self, size: int = 3) -> list[Any]:
        rest = [1.0] * (size - 2)
        return [
            [0.0, -np.inf, *rest],
            [-np.inf, 0.0] + [-np.inf] * (size - 2),
            [np.inf, 0.0, *rest],
        ]

    def outside(self, size: int = 3) -> list[Any]:
        rest = [0.0] * (size - 2)
        return [[-np.inf] * size, [0.0, np.inf, *rest], [np.nan, 0.0, *rest]]


@dataclass(frozen=True)
class OneHot(Domain):
    """Vectors with one 1 among zeros."""

    @property
    def event_dim(self) -> int:
        return 1

    @property
    def discrete(self) -> bool:
        return True

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        return np.asarray(np.all((x == 0) | (x == 1), axis=-1) & (np.sum(x, axis=-1) == 1))

    def describe(self) -> str:
        return "one 1 among zeros"

    def states(self, event_shape: tuple[int, ...]) -> Array:
        return np.eye(event_shape[-1])

    def inside(self, size: int = 3) -> Any:
        return [1.0] + [0.0] * (size - 1)

    def outside(self, size: int = 3) -> list[Any]:
        rest = [0.0] * (size - 2)
        return [[0.5, 0.5, *rest], [1.0, 1.0, *rest], [0.0] * size, [np.nan, 1.0, *rest]]


@dataclass(frozen=True)
class Independent(Domain):
    """Vectors whose entries lie in another domain, or arrays whose rows do."""

    of: Domain

    @property
    def event_dim(self) -> int:
        return self.of.event_dim + 1

    @property
    def discrete(self) -> bool:
        return self.of.discrete

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        return np.asarray(np.all(self.of.contains(value), axis=-1))

    def describe(self) -> str:
        return f"{self.of.describe()} in every {'row' if self.of.event_dim else 'entry'}"

    def from_chart(self, coordinates: Array) -> Array:
        self._require_numbers()
        return self.of.from_chart(coordinates[..., None])

    def to_chart(self, value: Array) -> Array:
        self._require_numbers()
        return self.of.to_chart(value)[..., 0]

    def log_jacobian(self, coordinates: Array) -> Array:
        self._require_numbers()
        return np.asarray(np.sum(self.of.log_jacobian(coordinates[..., None]), axis=-1))

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        return event_shape[-1]

    def states(self, event_shape: tuple[int, ...]) -> Array:
        entries = list(self.of.states(event_shape[1:]))
        return np.array(list(itertools.product(entries, repeat=event_shape[0])))

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return self.of.place(unit, typical)

    def inside(self, size: int = 3) -> Any:
        return [self.of.inside(size)] * (2 if self.of.event_dim else size)

    def end_points(self, size: int = 3) -> list[Any]:
        return [[*self.inside(size)[1:], end] for end in self.of.end_points(size)]

    def outside(self, size: int = 3) -> list[Any]:
        return [[*self.inside(size)[1:], entry] for entry in self.of.outside(size)]

    def _require_numbers(self) -> None:
        if self.of.event_dim:
            raise NotImplementedError(f"points that are {self.describe()} have no coordinates")


@dataclass(frozen=True)
class Arrangement(Domain):
    """Rows that are one-hot and all different: an ordered choice without repetition."""

    @property
    def event_dim(self) -> int:
        return 2

    @property
    def discrete(self) -> bool:
        return True

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        rows = np.all(OneHot().contains(x), axis=-1)
        return np.asarray(rows & np.all(np.sum(x, axis=-2) <= 1, axis=-1))

    def describe(self) -> str:
        return "one 1 among zeros in every row, in no column twice"

    def states(self, event_shape: tuple[int, ...]) -> Array:
        rows, columns = event_shape
        return np.array(
            [np.eye(columns)[list(p)] for p in itertools.permutations(range(columns), rows)]
        )

    def inside(self, size: int = 3) -> Any:
        return np.eye(size)[:2].tolist()

    def outside(self, size: int = 3) -> list[Any]:
        first, second = self.inside(size)
        halves = [0.5, 0.5, *[0.0] * (size - 2)]
        return [[first, first], [first, halves], [[np.nan, *first[1:]], second]]
