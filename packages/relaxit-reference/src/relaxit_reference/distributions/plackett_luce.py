"""Plackett-Luce: ordered samples without replacement (Plackett 1975, Luce 1959)."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import logsumexp

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.domains import Arrangement, Array, Numeric
from relaxit_reference.rows import harden_rows, successive_softmax, taken_before


@dataclass(frozen=True, eq=False)
class PlackettLuce(CategoricalParameters, ReferenceDistribution):
    """`k` different categories in the order of the draws, as one-hot rows.

    Example:
        >>> from relaxit_reference import PlackettLuce
        >>> ranking = PlackettLuce(k=2, probs=[0.5, 0.3, 0.2])
        >>> float(ranking.discrete_pmf([[1, 0, 0], [0, 1, 0]]).round(12))  # 0.5 * 0.3 / (1 - 0.5)
        0.3
    """

    k: int
    probs: Numeric = None
    logits: Numeric = None
    hard: ClassVar[bool] = True

    @property
    def event_shape(self) -> tuple[int, ...]:
        return (self.k, self.log_pi.shape[-1])

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return self.event_shape[1:]

    def surrogate(self, noise: Numeric) -> Array:
        scores = self.log_pi + np.asarray(noise)
        return successive_softmax(np.repeat(scores[..., None, :], self.k, axis=-2))

    def harden(self, x: Numeric) -> Array:
        return harden_rows(x)

    def discrete_pmf(self, x: Numeric) -> Array:
        return np.exp(self.logpdf(x))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        rows = np.asarray(x, dtype=np.float64)
        log_pi = np.broadcast_to(self.log_pi[..., None, :], (*self.batch_shape, *self.event_shape))
        chosen = np.sum(np.where(rows == 1, log_pi, 0), axis=-1)
        # pi_i / (pi_i + others) = 1 / (1 + others / pi_i), with the others that are left.
        others = logsumexp(log_pi, axis=-1, b=taken_before(rows) + rows == 0)
        with np.errstate(invalid="ignore"):  # -inf - -inf, for categories that are never chosen
            log_pmf = np.sum(-np.logaddexp(0, others - chosen), axis=-1)
        possible = Arrangement().contains(rows) & np.all(chosen > -np.inf, axis=-1)
        return np.where(possible, log_pmf, -np.inf)

    def mode(self) -> Array:
        order = np.argsort(-self.log_pi, axis=-1, kind="stable")[..., : self.k]
        return np.asarray(np.eye(self.log_pi.shape[-1])[order])
