"""Rows on the simplex, each without the categories in which earlier rows are largest."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from relaxit_reference.domains import Array, LogSimplex, Numeric


def successive_softmax(scores: Array) -> Array:
    """Softmax of each row, without the categories in which an earlier row has its largest score."""
    rows, taken = [], np.zeros(scores[..., 0, :].shape, dtype=bool)
    for j in range(scores.shape[-2]):
        masked = np.where(taken, -np.inf, scores[..., j, :])
        largest = np.max(masked, axis=-1, keepdims=True)
        weights = np.exp(masked - largest)
        rows.append(weights / np.sum(weights, axis=-1, keepdims=True))
        taken |= np.eye(masked.shape[-1], dtype=bool)[np.argmax(masked, axis=-1)]
    return np.stack(rows, axis=-2)


def harden_rows(x: Numeric) -> Array:
    """The argmax of each row, one-hot. Of equal entries, the one that the next row lacks."""
    rows = np.asarray(x, dtype=np.float64)
    following = np.concatenate([rows[..., 1:, :], np.zeros_like(rows[..., :1, :])], axis=-2)
    return np.asarray(np.eye(rows.shape[-1])[np.argmax(rows - following, axis=-1)])


def taken_before(rows: Array) -> Array:
    """1 in the categories that the rows before have chosen; `rows` are one-hot."""
    return np.asarray(np.cumsum(rows, axis=-2) - rows)


def follow_from_first(rows: Array, dtype: DTypeLike) -> Array:
    """Whether each row is the row before it without its largest entry, normalised again.

    Up to rounding in `dtype`. The relative error of a softmax is an ulp of the arguments of its
    exponentials, which reach the logarithm of the smallest number.
    """
    limits = np.finfo(dtype)
    relative = 4 * float(limits.eps) * (1 - np.log(float(limits.tiny) * float(limits.eps)))
    taken = taken_before(harden_rows(rows))[..., 1:, :]
    before, after = np.where(taken == 1, 0, rows[..., :-1, :]), rows[..., 1:, :]
    expected = after * np.sum(before, axis=-1, keepdims=True)
    lost = float(limits.tiny) * (1 + rows.shape[-1] * after)  # by entries that underflowed
    close = np.abs(before - expected) <= relative * np.maximum(before, expected) + lost
    return np.asarray(np.all(close & ((taken == 0) | (after == 0)), axis=(-2, -1)))


@dataclass(frozen=True)
class RowsChart:
    """Coordinates `log c_i - log c_last` of the first row.

    With independent rows: of every row, on the categories that are left to it. A row takes the
    category in which it is largest from the rows after it.
    """

    k: int
    K: int
    independent: bool

    def from_chart(self, coordinates: Array) -> Array:
        if not self.independent:
            log_first = LogSimplex().from_chart(coordinates)
            return successive_softmax(np.repeat(log_first[..., None, :], self.k, axis=-2))
        scores, taken = [], np.zeros((*coordinates.shape[:-1], self.K), dtype=bool)
        for part in self._split(coordinates):
            left = np.argsort(taken, axis=-1, kind="stable")[..., : part.shape[-1] + 1]
            row = np.full(taken.shape, -np.inf)
            np.put_along_axis(row, left, LogSimplex().from_chart(part), axis=-1)
            scores.append(row)
            taken = taken | np.eye(self.K, dtype=bool)[np.argmax(row, axis=-1)]
        return successive_softmax(np.stack(scores, axis=-2))

    def to_chart(self, value: Array) -> Array:
        with np.errstate(divide="ignore"):
            logs = np.log(value)
        if not self.independent:
            return LogSimplex().to_chart(logs[..., 0, :])
        order = np.argsort(taken_before(harden_rows(value)), axis=-1, kind="stable")
        rows = [
            np.take_along_axis(logs[..., j, :], order[..., j, : self.K - j], axis=-1)
            for j in range(self.k)
        ]
        return np.concatenate([LogSimplex().to_chart(row) for row in rows], axis=-1)

    def log_jacobian(self, coordinates: Array) -> Array:
        logs = [LogSimplex().from_chart(part) for part in self._split(coordinates)]
        return np.sum(np.concatenate(logs, axis=-1), axis=-1)

    def chart_dim(self, event_shape: tuple[int, ...]) -> int:
        return sum(self._sizes)

    @property
    def _sizes(self) -> list[int]:
        return [self.K - 1 - j for j in range(self.k if self.independent else 1)]

    def _split(self, coordinates: Array) -> list[Array]:
        return np.split(coordinates, np.cumsum(self._sizes)[:-1], axis=-1)
