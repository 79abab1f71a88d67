"""Domains of matrices: correlations, covariances, and their Cholesky factors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.domains.domain import SUM_TOLERANCE, Array, Domain, Numeric
from relaxit_reference.domains.scalars import Positive

STRONG = 0.9
"""The largest partial correlation of a typical covariance."""


@dataclass(frozen=True)
class Matrix(Domain):
    """Square matrices."""

    @property
    def event_dim(self) -> int:
        return 2

    def inside(self, size: int = 3) -> Any:
        return np.eye(size).tolist()


@dataclass(frozen=True)
class CorrelationCholesky(Matrix):
    """Lower triangular matrices with rows of length 1 and a positive diagonal."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        lengths = np.abs(np.sum(x**2, axis=-1) - 1) <= SUM_TOLERANCE
        return LowerCholesky().contains(x) & np.all(lengths, axis=-1)

    def describe(self) -> str:
        return "lower triangular with a positive diagonal and rows of length 1"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        low, high = typical
        return factor_of_partial_correlations(low + (high - low) * unit)

    def end_points(self, size: int = 3) -> list[Any]:
        return [np.eye(size).tolist(), np.zeros((size, size)).tolist()]

    def outside(self, size: int = 3) -> list[Any]:
        return [*LowerCholesky().outside(size), (2 * np.eye(size)).tolist()]


@dataclass(frozen=True)
class LowerCholesky(Matrix):
    """Lower triangular matrices with a positive diagonal."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value)
        triangular = np.all(np.triu(x, 1) == 0, axis=(-2, -1))
        diagonal = np.diagonal(x, axis1=-2, axis2=-1)
        finite = np.all(np.isfinite(x), axis=(-2, -1))
        return np.asarray(triangular & finite & np.all(diagonal > 0, axis=-1))

    def describe(self) -> str:
        return "lower triangular with a positive diagonal"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        deviations = Positive().place(np.diagonal(unit, axis1=-2, axis2=-1), typical)
        return deviations[..., None] * CorrelationCholesky().place(unit, (-STRONG, STRONG))

    def end_points(self, size: int = 3) -> list[Any]:
        return [np.zeros((size, size)).tolist()]

    def outside(self, size: int = 3) -> list[Any]:
        return _changed(size, {(0, -1): 0.5}, {(-1, -1): -1.0}, {(-1, 0): np.nan})


@dataclass(frozen=True)
class Covariance(Matrix):
    """Symmetric positive definite matrices."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        x = np.asarray(value, dtype=np.float64)
        finite = np.all(np.isfinite(x), axis=(-2, -1))
        x = np.where(finite[..., None, None], x, 0)
        size = np.max(np.abs(x), axis=(-2, -1), initial=0)
        asymmetry = np.max(np.abs(x - np.swapaxes(x, -2, -1)), axis=(-2, -1), initial=0)
        # `eigvalsh` reads one triangle only.
        definite = np.linalg.eigvalsh(x)[..., 0] > 0
        return np.asarray(finite & (asymmetry <= SUM_TOLERANCE * size) & definite)

    def describe(self) -> str:
        return "symmetric and positive definite"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        return _gram(LowerCholesky().place(unit, typical))

    def end_points(self, size: int = 3) -> list[Any]:
        return [np.zeros((size, size)).tolist()]

    def outside(self, size: int = 3) -> list[Any]:
        return _changed(
            size,
            {(0, -1): 0.5},  # not symmetric
            {(0, -1): 2.0, (-1, 0): 2.0},  # not positive definite
            {(0, -1): np.nan, (-1, 0): np.nan},
        )


@dataclass(frozen=True)
class Correlation(Matrix):
    """Symmetric positive definite matrices with a unit diagonal."""

    def contains(self, value: Numeric) -> NDArray[np.bool_]:
        diagonal = np.diagonal(np.asarray(value), axis1=-2, axis2=-1)
        unit = np.all(np.abs(diagonal - 1) <= SUM_TOLERANCE, axis=-1)
        return np.asarray(Covariance().contains(value) & unit)

    def describe(self) -> str:
        return "symmetric with a unit diagonal and positive definite"

    def place(self, unit: Array, typical: tuple[float, float]) -> Array:
        matrix = _gram(CorrelationCholesky().place(unit, typical))
        diagonal = np.eye(matrix.shape[-1], dtype=bool)
        return np.where(diagonal, 1.0, matrix)

    def end_points(self, size: int = 3) -> list[Any]:
        return [np.eye(size).tolist(), np.ones((size, size)).tolist()]

    def outside(self, size: int = 3) -> list[Any]:
        return [*Covariance().outside(size), *_changed(size, {(-1, -1): 1.5})]


def factor_of_partial_correlations(partial: Array) -> Array:
    """The Cholesky factor of the correlation matrix with these partial correlations.

    Row `i` is a point of the unit sphere. Entry `j` is the share `partial[i, j]` of the length that
    the entries before it have left; the diagonal entry is the rest (Lewandowski, Kurowicka, Joe
    2009).
    """
    factor = np.zeros_like(partial)
    for row in range(partial.shape[-1]):
        left = np.ones(partial.shape[:-2])
        for column in range(row):
            factor[..., row, column] = partial[..., row, column] * left
            left = left * np.sqrt(1 - partial[..., row, column] ** 2)
        factor[..., row, row] = left
    return factor


def _gram(factor: Array) -> Array:
    product = factor @ np.swapaxes(factor, -2, -1)
    return np.asarray((product + np.swapaxes(product, -2, -1)) / 2)


def _changed(size: int, *changes: dict[tuple[int, int], float]) -> list[Any]:
    """Identity matrices, each with some entries changed, without those that stay identities."""
    found = []
    for change in changes:
        matrix = np.eye(size)
        for place, entry in change.items():
            matrix[place] = entry
        if not np.array_equal(matrix, np.eye(size)):
            found.append(matrix.tolist())
    return found
