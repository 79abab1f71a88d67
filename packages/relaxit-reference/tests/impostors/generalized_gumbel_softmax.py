"""Generalized Gumbel-Softmax, wrongly. As in the tests, there are always three values."""

import numpy as np
from scipy.special import gammaln, logsumexp, softmax
from scipy.stats import nbinom, poisson

SOFT, HARD = (
    "GeneralizedGumbelSoftmax(truncation=3)",
    "GeneralizedGumbelSoftmax(truncation=3, hard=True)",
)
K = np.arange(3)


def log_probs(rate, dispersion):
    """The log-probabilities of 0, of 1, and of all others together."""
    rate, alpha = np.asarray(rate)[..., None], np.asarray(dispersion)[..., None]
    # No test can tell a smaller dispersion from Poisson.
    distribution = nbinom(1 / np.maximum(alpha, 1e-6), 1 / (1 + np.maximum(alpha, 1e-6) * rate))
    log_pmf = np.where(alpha > 1e-6, distribution.logpmf(K), poisson.logpmf(K, rate))
    log_tail = np.where(alpha > 1e-6, distribution.logsf(1), poisson.logsf(1, rate))
    return np.concatenate([log_pmf[..., :2], log_tail], axis=-1)


def weights(noise, temperature, log_pi):
    return softmax((log_pi + noise) / np.asarray(temperature)[..., None], axis=-1)


def log_density(value, temperature, log_pi, jacobian=1.0):
    log_c, temperature = np.log(np.maximum(value, 5e-324)), np.asarray(temperature)
    terms = log_pi - temperature[..., None] * log_c
    constant = gammaln(3) + 2 * np.log(temperature)
    return constant + terms.sum(-1) - 3 * logsumexp(terms, axis=-1) - jacobian * log_c.sum(-1)


class Renormalised:
    """Drops the counts above the last value, which belong to the last value."""

    pretends = SOFT
    named = "differs at"

    @staticmethod
    def relax(noise, temperature, rate, dispersion):
        rate, alpha = np.asarray(rate)[..., None], np.asarray(dispersion)[..., None]
        growth = np.cumsum(np.log1p(alpha * K), axis=-1) - np.log1p(alpha * K)
        log_pmf = K * np.log(rate / (1 + alpha * rate)) + growth - gammaln(K + 1)
        return weights(noise, temperature, log_pmf)


class DispersionIgnored:
    """Ignores the dispersion: a Poisson variable."""

    pretends = SOFT
    named = "with 0 in place of dispersion"

    @staticmethod
    def relax(noise, temperature, rate, dispersion):
        return weights(noise, temperature, log_probs(rate, np.zeros_like(dispersion)))


class DispersionIsItsInverse:
    """Takes the dispersion to be the number of geometric variables in the sum."""

    pretends = SOFT
    named = "with 1 / dispersion in place of dispersion"

    @staticmethod
    def relax(noise, temperature, rate, dispersion):
        inverse = 1 / np.maximum(dispersion, 1e-6)
        return weights(noise, temperature, log_probs(rate, inverse))


class LogSpaceDensityOfCounts:
    """The density of the logarithms of the weights: the Jacobian is missing."""

    pretends = SOFT
    named = "integrates to", "the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, rate, dispersion):
        return log_density(value, temperature, log_probs(rate, dispersion), jacobian=0.0)


class ScoredBeforeTruncation:
    """Scores the last value as one count, although it stands for all larger counts."""

    pretends = HARD
    named = "probabilities add up to"

    @staticmethod
    def log_prob(value, temperature, rate, dispersion):
        alpha = np.maximum(dispersion, 1e-6)
        distribution = nbinom(1 / alpha, 1 / (1 + alpha * np.asarray(rate)))
        return distribution.logpmf(np.argmax(value, axis=-1))
