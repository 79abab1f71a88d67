"""Gumbel-Rao (Paulus, Maddison, Krause 2021)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import log_softmax, softmax

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_reference.domains import Array, Numeric


@dataclass(frozen=True, eq=False)
class GumbelRao(CategoricalParameters, ReferenceDistribution):
    """A one-hot category whose backward pass averages relaxed values that have it as argmax.

    Example:
        >>> from relaxit_reference import GumbelRao
        >>> category = GumbelRao(temperature=1.0, probs=[0.5, 0.5], samples=1)
        >>> category.relax([[1.0, 0.0], [0.0, 5.0]])  # the first row of noise decides
        array([1., 0.])
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None
    samples: int = 10
    hard: ClassVar[bool] = True

    @property
    def noise_shape(self) -> tuple[int, ...]:
        return (self.samples + 1, *self.event_shape)

    def relaxed(self, noise: Numeric) -> Array:
        rate = np.asarray(self.temperature)[..., None]
        return np.asarray(softmax((self.log_pi + np.asarray(noise)[..., 0, :]) / rate, axis=-1))

    def noise_given_value(self, noise: Numeric) -> Array:
        """Gumbel noise given the value, `(*size, *batch_shape, samples, K)`.

        The largest score is Gumbel(0, 1). The other scores are Gumbel, truncated at the largest.
        """
        log_pi = log_softmax(self.log_pi, axis=-1)[..., None, :]
        value, g = self.relax(noise)[..., None, :], np.asarray(noise)[..., 1:, :]
        largest = np.sum(value * g, axis=-1, keepdims=True)
        others = -np.logaddexp(-log_pi - g, -largest)
        possible = np.broadcast_to(log_pi > -np.inf, others.shape)
        scores = np.where(value == 1, largest, others)
        return np.subtract(scores, log_pi, out=np.zeros(others.shape), where=possible)

    def surrogate(self, noise: Numeric) -> Array:
        return self.surrogate_from(self, noise)

    def surrogate_from(self, origin: GumbelRao, noise: Numeric) -> Array:
        # The noise given the value is held constant, though its distribution has parameters.
        temperature = np.asarray(self.temperature)[..., None, None]
        scores = log_softmax(self.log_pi, axis=-1)[..., None, :] + origin.noise_given_value(noise)
        return np.asarray(np.mean(softmax(scores / temperature, axis=-1), axis=-2))

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        return self._hard.logpdf(x)

    def mean(self) -> Array:
        return self._hard.mean()

    def var(self) -> Array:
        return self._hard.var()

    def entropy(self) -> Array:
        return self._hard.entropy()

    @property
    def _hard(self) -> GumbelSoftmax:
        return GumbelSoftmax(self.temperature, logits=self.log_pi, hard=True)
