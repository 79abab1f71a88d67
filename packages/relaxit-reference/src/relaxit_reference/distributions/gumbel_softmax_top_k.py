"""Gumbel-Softmax Top-K: a relaxed sample without replacement (Kool, van Hoof, Welling 2019)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_reference.distributions.plackett_luce import PlackettLuce
from relaxit_reference.domains import Array, Chart, Numeric
from relaxit_reference.rows import (
    RowsChart,
    follow_from_first,
    harden_rows,
    successive_softmax,
    taken_before,
)


@dataclass(frozen=True, eq=False)
class GumbelSoftmaxTopK(CategoricalParameters, ReferenceDistribution):
    """`k` rows on the simplex, each without the categories in which earlier rows are largest.

    Example:
        >>> from relaxit_reference import GumbelSoftmaxTopK
        >>> ranking = GumbelSoftmaxTopK(k=2, temperature=1.0, probs=[0.5, 0.25, 0.25])
        >>> ranking.relax([0.0, 0.0, 0.0])
        array([[0.5 , 0.25, 0.25],
               [0.  , 0.5 , 0.5 ]])
    """

    k: int
    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None
    hard: bool = False
    independent_noise: bool = False

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.k, self.log_pi.shape[-1])

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.event_shape if self.independent_noise else self.event_shape[1:]

    @property
    def chart(self) -> Chart:
        return RowsChart(self.k, self.event_shape[-1], self.independent_noise)

    def surrogate(self, noise: Numeric) -> Array:
        scores = self.log_pi[..., None, :] + self._noise_of_rows(noise)
        return successive_softmax(scores / np.asarray(self.temperature)[..., None, None])

    def harden(self, x: Numeric) -> Array:
        return harden_rows(x)

    def discrete_pmf(self, x: Numeric) -> Array:
        return self._discrete.discrete_pmf(x)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        if self.hard:
            return self._discrete.logpdf(x)
        rows = np.asarray(x, dtype=np.float64)
        if self.independent_noise:
            given = self._rows(taken_before(self.harden(rows)))
            return np.sum(
                [row.logpdf(rows[..., j, :], dtype) for j, row in enumerate(given)], axis=0
            )
        density = self._first_row.logpdf(rows[..., 0, :], dtype)
        return np.where(follow_from_first(rows, dtype), density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        if self.hard:
            return self.logpdf(self.relax(noise))
        if not self.independent_noise:
            return self._first_row.logpdf_from_noise(noise)
        given = self._rows(taken_before(self.harden(self.surrogate(noise))))
        terms = [row.logpdf_from_noise(noise[..., j, :]) for j, row in enumerate(given)]
        return np.asarray(np.sum(terms, axis=0))

    def mode(self) -> Array:
        if not self.hard:
            raise NotImplementedError
        return self._discrete.mode()

    @property
    def _discrete(self) -> PlackettLuce:
        return PlackettLuce(self.k, logits=self.log_pi)

    @property
    def _first_row(self) -> GumbelSoftmax:
        return GumbelSoftmax(self.temperature, logits=self.log_pi)

    def _rows(self, taken: Array) -> list[GumbelSoftmax]:
        """The distribution of each row on the categories that earlier rows have left to it."""
        masked = np.where(taken == 1, -np.inf, self.log_pi[..., None, :])
        return [GumbelSoftmax(self.temperature, logits=masked[..., j, :]) for j in range(self.k)]

    def _noise_of_rows(self, noise: Numeric) -> Array:
        g = np.asarray(noise, dtype=np.float64)
        return g if self.independent_noise else np.repeat(g[..., None, :], self.k, axis=-2)
