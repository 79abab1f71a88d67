"""The softmax of a normal vector, wrongly."""

import numpy as np
from scipy.special import softmax
from scipy.stats import norm


def factor(scale, covariance_matrix, scale_tril):
    if scale is not None:
        return scale[..., None] * np.eye(scale.shape[-1])
    return np.linalg.cholesky(covariance_matrix) if scale_tril is None else scale_tril


def covariance(scale, covariance_matrix, scale_tril):
    L = factor(scale, covariance_matrix, scale_tril)
    return L @ np.swapaxes(L, -2, -1)


def relaxed(loc, L, noise):
    return softmax(loc + (L @ noise[..., None])[..., 0], axis=-1)


def logs(value):
    return np.log(np.maximum(value, 5e-324))


def log_normal(x, S):
    L = np.linalg.cholesky(S)
    eps = np.linalg.solve(L, x[..., None])[..., 0]
    return np.sum(norm.logpdf(eps) - np.log(np.diagonal(L, axis1=-2, axis2=-1)), axis=-1)


def log_ratios(value, loc):
    y = logs(value) - loc
    return y[..., :-1] - y[..., -1:]


def of_log_ratios(Sigma):
    A = np.concatenate([np.eye(Sigma.shape[-1] - 1), -np.ones((Sigma.shape[-1] - 1, 1))], axis=-1)
    return A @ Sigma @ A.T


def integrated(value, loc, Sigma):
    """The right log density: of the vector, integrated over the constant that softmax ignores."""
    L = np.linalg.cholesky(Sigma)
    w = np.linalg.solve(L, (logs(value) - loc)[..., None])[..., 0]
    u = np.linalg.solve(L, np.ones((*Sigma.shape[:-1], 1)))[..., 0]
    precision = np.sum(u * u, axis=-1)
    w = w - u * (np.sum(u * w, axis=-1) / precision)[..., None]
    log_det = np.linalg.slogdet(Sigma)[1] + np.log(precision)
    free = value.shape[-1] - 1
    square = np.sum(w * w, axis=-1)
    return -(square + log_det + free * np.log(2 * np.pi)) / 2 - logs(value).sum(-1)


class MatrixAsFactor:
    """Multiplies the noise by the covariance matrix."""

    pretends = "LogisticNormalSoftmax"
    named = "Only if the parameters are"

    @staticmethod
    def relax(noise, loc, scale=None, covariance_matrix=None, scale_tril=None):
        if covariance_matrix is not None:
            return relaxed(loc, covariance_matrix, noise)
        return relaxed(loc, factor(scale, None, scale_tril), noise)


class VarianceForScale:
    """Takes the standard deviations to be variances."""

    pretends = "LogisticNormalSoftmax"
    named = "sqrt(scale) in place of scale"

    @staticmethod
    def relax(noise, loc, scale=None, covariance_matrix=None, scale_tril=None):
        scale = None if scale is None else np.sqrt(scale)
        return relaxed(loc, factor(scale, covariance_matrix, scale_tril), noise)


class NoVariableForTheLast:
    """The logistic-normal distribution of K - 1 variables, with a 0 for the last category."""

    pretends = "LogisticNormalSoftmax"
    named = "It changes by", "when 1 is added to all loc"

    @staticmethod
    def relax(noise, loc, scale=None, covariance_matrix=None, scale_tril=None):
        L = factor(scale, covariance_matrix, scale_tril)
        x = loc + (L @ noise[..., None])[..., 0]
        return softmax(np.concatenate([x[..., :-1], 0 * x[..., -1:]], axis=-1), axis=-1)


class SoftmaxOverTheBatch:
    """Normalises over the first axis of the batch."""

    pretends = "LogisticNormalSoftmax"
    named = "changes the value of element"

    @staticmethod
    def relax(noise, loc, scale=None, covariance_matrix=None, scale_tril=None):
        L = factor(scale, covariance_matrix, scale_tril)
        return softmax(loc + (L @ noise[..., None])[..., 0], axis=-2)


class DensityOfTheVector:
    """Scores the logarithm of the value as if it were the normal vector."""

    pretends = "LogisticNormalSoftmax"
    named = "when 1 is added to all loc", "integrates to"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        Sigma = covariance(scale, covariance_matrix, scale_tril)
        return log_normal(logs(value) - loc, Sigma) - logs(value).sum(-1)


class LogRatiosUncoupled:
    """Independent log-ratios, although all of them contain the last variable."""

    pretends = "LogisticNormalSoftmax"
    named = "Its density integrates to 1"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        S = of_log_ratios(covariance(scale, covariance_matrix, scale_tril))
        S = S * np.eye(S.shape[-1])
        return log_normal(log_ratios(value, loc), S) - logs(value).sum(-1)


class LastVariableForgotten:
    """Scores log-ratios as if the variable of the last category had no variance."""

    pretends = "LogisticNormalSoftmax"
    named = "Its density integrates to 1"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        Sigma = covariance(scale, covariance_matrix, scale_tril)
        return log_normal(log_ratios(value, loc), Sigma[..., :-1, :-1]) - logs(value).sum(-1)


class NoJacobian:
    """The density of the log-ratios, without the Jacobian."""

    pretends = "LogisticNormalSoftmax"
    named = "density of the logarithm of the value: the Jacobian is missing"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        S = of_log_ratios(covariance(scale, covariance_matrix, scale_tril))
        return log_normal(log_ratios(value, loc), S)


class DeterminantOfTheVector:
    """The determinant of the full covariance in place of the covariance of the log-ratios."""

    pretends = "LogisticNormalSoftmax"
    named = "wrong by a term that does not depend on the value", "integrates to"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        Sigma = covariance(scale, covariance_matrix, scale_tril)
        precision = np.linalg.inv(Sigma).sum((-2, -1))
        return integrated(value, loc, Sigma) + np.log(precision) / 2


class CorrelationsIgnored:
    """Reads only the diagonal of the matrix."""

    pretends = "LogisticNormalSoftmax"
    named = "Only if the parameters are loc and covariance_matrix"

    @staticmethod
    def log_prob(value, loc, scale=None, covariance_matrix=None, scale_tril=None):
        Sigma = covariance(scale, covariance_matrix, scale_tril)
        if covariance_matrix is not None:
            Sigma = Sigma * np.eye(Sigma.shape[-1])
        return integrated(value, loc, Sigma)
