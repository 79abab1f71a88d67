"""Gumbel-Softmax in log space (Maddison, Mnih, Teh 2017, appendix C.3)."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import digamma, gammaln, logsumexp

from relaxit_reference.distribution import CategoricalParameters, ReferenceDistribution
from relaxit_reference.domains import Array, LogSimplex, Numeric


@dataclass(frozen=True, eq=False)
class ExpGumbelSoftmax(CategoricalParameters, ReferenceDistribution):
    """The logarithm of a Gumbel-Softmax variable.

    Example:
        >>> from relaxit_reference import ExpGumbelSoftmax
        >>> float(ExpGumbelSoftmax(temperature=1.0, probs=[0.5, 0.5]).entropy())  # logistic
        2.0
    """

    temperature: Numeric
    probs: Numeric = None
    logits: Numeric = None

    def surrogate(self, noise: Numeric) -> Array:
        scores = (self.log_pi + noise) / np.asarray(self.temperature)[..., None]
        # log softmax_k = -log sum_j exp(score_j - score_k), and -inf for an impossible category.
        finite = np.where(scores > -np.inf, scores, 0)
        log_c = -logsumexp(scores[..., None, :] - finite[..., :, None], axis=-1)
        return np.where(scores > -np.inf, log_c, -np.inf)

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        possible = self.log_pi > -np.inf  # the K categories that the density is on
        K, tau = np.sum(possible, axis=-1), np.asarray(self.temperature)
        log_pi, y = np.where(possible, self.log_pi, 0), np.asarray(x, dtype=np.float64)
        terms = log_pi - tau[..., None] * np.where(y > -np.inf, y, 0)
        density = (
            gammaln(K)
            + (K - 1) * np.log(tau)
            + np.sum(terms, axis=-1)
            - K * logsumexp(terms, axis=-1, b=possible)
        )
        impossible = np.any(possible != (y > -np.inf), axis=-1)
        return np.where(LogSimplex().contains(y) & ~impossible, density, -np.inf)

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        # pi_k exp(-temperature y_k) = exp(-g_k), up to a constant that cancels below.
        possible = np.broadcast_to(self.log_pi > -np.inf, np.shape(self.log_pi + noise))
        K, g = np.sum(possible, axis=-1), np.broadcast_to(noise, possible.shape)
        total = np.log(np.sum(np.exp(-g), axis=-1, where=possible))
        constant = gammaln(K) + (K - 1) * np.log(self.temperature)
        return np.asarray(constant - np.sum(g, axis=-1, where=possible) - K * total)

    def entropy(self) -> Array:
        # -E log p(y), with E[g] = Euler's gamma and E[log sum exp(-g)] = digamma(K).
        K = np.sum(self.log_pi > -np.inf, axis=-1)
        constant = K * (np.euler_gamma + digamma(K)) - gammaln(K)
        return np.asarray(constant - (K - 1) * np.log(self.temperature))
