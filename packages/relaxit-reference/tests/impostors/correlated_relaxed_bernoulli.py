"""Correlated relaxed Bernoulli variables, wrongly."""

import numpy as np
from scipy.special import expit, log_expit, log_ndtr, logit, ndtr, ndtri_exp
from scipy.stats import norm


def log_odds(probs, logits):
    return logit(probs) if logits is None else logits


def factor(correlation_matrix=None, correlation_cholesky=None):
    if correlation_cholesky is None:
        return np.linalg.cholesky(correlation_matrix)
    return correlation_cholesky


def relaxed(v, temperature, probs, logits):
    score = log_ndtr(v) - log_ndtr(-v) + log_odds(probs, logits)
    return expit(score / temperature[..., None])


def normal_and_marginals(value, temperature, probs, logits):
    rate = temperature[..., None]
    c = np.clip(value, 5e-324, 1 - 2**-53)
    x = rate * logit(c) - log_odds(probs, logits)
    v = np.copysign(ndtri_exp(log_expit(-np.abs(x))), x)
    marginals = log_expit(x) + log_expit(-x) + np.log(rate) - np.log(c) - np.log1p(-c)
    return v, marginals


def log_normal(v, L):
    eps = np.linalg.solve(L, v[..., None])[..., 0]
    return np.sum(norm.logpdf(eps) - np.log(np.diagonal(L, axis1=-2, axis2=-1)), axis=-1)


class NoJacobianOfTheCopula:
    """The normal density is not divided by its marginals."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "Its density integrates to"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None, **coupling):
        v, marginals = normal_and_marginals(value, temperature, probs, logits)
        return log_normal(v, factor(**coupling)) + marginals.sum(-1)


class Uncorrelated:
    """The matrix is ignored: independent Binary Concrete variables."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "with the identity in place of correlation_matrix"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, **_):
        return relaxed(noise, temperature, probs, logits)

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None, **_):
        return normal_and_marginals(value, temperature, probs, logits)[1].sum(-1)


class MatrixAsFactor:
    """Multiplies the noise by the matrix itself."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "Only if the parameters are"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, **coupling):
        (matrix,) = (given for given in coupling.values() if given is not None)
        return relaxed((matrix @ noise[..., None])[..., 0], temperature, probs, logits)


class FactorTransposed:
    """Multiplies by the factor from the other side: another covariance, other marginals."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "It differs at"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, **coupling):
        L = factor(**coupling)
        return relaxed((noise[..., None, :] @ L)[..., 0, :], temperature, probs, logits)


class LogitOfTheDistributionFunction:
    """`log(Phi / (1 - Phi))` as written: infinite where the distribution function rounds to 1."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "noise is clamped"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, **coupling):
        L = factor(**coupling)
        u = np.clip(ndtr((L @ noise[..., None])[..., 0]), 1e-6, 1 - 1e-6)
        return expit((logit(u) + log_odds(probs, logits)) / temperature[..., None])


class OneVectorForTheBatch:
    """One normal vector moves the whole batch."""

    pretends = "CorrelatedRelaxedBernoulli"
    named = "changes the value of element"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, **coupling):
        L = factor(**coupling)
        v = (L @ noise[..., :1, :, None])[..., 0]
        return relaxed(v, temperature, probs, logits)
