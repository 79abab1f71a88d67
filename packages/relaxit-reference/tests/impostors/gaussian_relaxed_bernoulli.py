"""Gaussian gates, wrongly."""

import numpy as np
from scipy.special import log_ndtr, ndtr
from scipy.stats import norm


def between(value, loc, scale):
    return norm.logpdf(value, loc, scale)


class NoAtoms:
    """The normal density everywhere, as if clipping moved no probability."""

    pretends = "GaussianRelaxedBernoulli"
    named = (
        "At 0 it returns the density next to it: the point mass is missing",
        "Its density integrates to",
    )

    @staticmethod
    def log_prob(value, loc, scale):
        return between(value, loc, scale)


class OneSidedAtom:
    """Only the point mass of the closed gate: a ReLU in place of a clip."""

    pretends = "GaussianRelaxedBernoulli"
    named = "At 1 it returns the density next to it: the point mass is missing"

    @staticmethod
    def log_prob(value, loc, scale):
        return np.where(value <= 0, log_ndtr(-loc / scale), between(value, loc, scale))


class AtomsExchanged:
    """Exchanges the probabilities of 0 and 1."""

    pretends = "GaussianRelaxedBernoulli"
    named = "At 0 it returns the log-probability of 1"

    @staticmethod
    def log_prob(value, loc, scale):
        at_0, at_1 = log_ndtr((loc - 1) / scale), log_ndtr(-loc / scale)
        inside = between(value, loc, scale)
        return np.where(value <= 0, at_0, np.where(value >= 1, at_1, inside))


class OneMinusCdf:
    """`log(1 - cdf)` at the open gate: -inf in the tail, where the log-probability is finite."""

    pretends = "GaussianRelaxedBernoulli"
    named = "NaN or infinite and must not be"

    @staticmethod
    def log_prob(value, loc, scale):
        at_0, at_1 = log_ndtr(-loc / scale), np.log(1 - ndtr((1 - loc) / scale))
        inside = between(value, loc, scale)
        return np.where(value <= 0, at_0, np.where(value >= 1, at_1, inside))


class VarianceAsScale:
    """The square of the scale in its place, where code and paper use sigma differently."""

    pretends = "GaussianRelaxedBernoulli"
    named = "with scale**2 in place of scale"

    @staticmethod
    def relax(noise, loc, scale):
        return np.clip(loc + scale**2 * noise, 0, 1)

    @staticmethod
    def log_prob(value, loc, scale):
        at_0, at_1 = log_ndtr(-loc / scale**2), log_ndtr((loc - 1) / scale**2)
        inside = between(value, loc, scale**2)
        return np.where(value <= 0, at_0, np.where(value >= 1, at_1, inside))


class CentredAtOneHalf:
    """The mean shifted by 1/2, as in the published code but not in the paper."""

    pretends = "GaussianRelaxedBernoulli"
    named = "It differs at"

    @staticmethod
    def relax(noise, loc, scale):
        return np.clip(loc + 0.5 + scale * noise, 0, 1)


class NotClipped:
    """Returns the normal variable without clipping."""

    pretends = "GaussianRelaxedBernoulli"
    named = "and must return 1.0"

    @staticmethod
    def relax(noise, loc, scale):
        return loc + scale * noise
