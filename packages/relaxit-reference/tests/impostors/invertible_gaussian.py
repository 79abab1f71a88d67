"""The invertible Gaussian, wrongly."""

import numpy as np
from scipy.special import softmax
from scipy.stats import norm


def scores(z, temperature, delta):
    first = z / temperature[..., None]
    last = np.broadcast_to(np.log(delta)[..., None], (*first.shape[:-1], 1))
    return np.concatenate([first, last], axis=-1)


def logs(value):
    return np.log(np.maximum(value, 5e-324))


def inverse(value, temperature, delta):
    log_c = logs(value)
    return temperature[..., None] * (log_c[..., :-1] - log_c[..., -1:] + np.log(delta)[..., None])


def log_density(value, z, temperature, loc, scale):
    normal = norm.logpdf(z, loc, scale) + np.log(temperature)[..., None]
    return normal.sum(-1) - logs(value).sum(-1)


class NoiseScaledByTheVariance:
    """Reads an output of a network as a variance here, and as a scale elsewhere."""

    pretends = "InvertibleGaussian"
    named = "scale**2 in place of scale"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        return softmax(scores(loc + scale**2 * noise, temperature, delta), axis=-1)


class OneNoiseForTheCategories:
    """One normal variable moves all categories of an event."""

    pretends = "InvertibleGaussian"
    named = "It differs at"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        return softmax(scores(loc + scale * noise[..., :1], temperature, delta), axis=-1)


class OneNoiseForTheBatch:
    """One vector of noise is broadcast over the batch."""

    pretends = "InvertibleGaussian"
    named = "changes the value of element"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        shared = np.broadcast_to(noise[..., :1, :], noise.shape)
        return softmax(scores(loc + scale * shared, temperature, delta), axis=-1)


class UnshiftedExponential:
    """exp(z / temperature) divided by its sum plus delta, as written: NaN at low temperature."""

    pretends = "InvertibleGaussian"
    named = "NaN or infinite", "overflows"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        weights = np.exp((loc + scale * noise) / temperature[..., None])
        total = weights.sum(-1, keepdims=True) + delta[..., None]
        return np.concatenate([weights / total, delta[..., None] / total], axis=-1)


class LastCategoryByDifference:
    """1 - sum for the last category: 0 or less where the others have all the mass."""

    pretends = "InvertibleGaussian"
    named = "where temperature is at most", "often returns 0"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        first = softmax(scores(loc + scale * noise, temperature, delta), axis=-1)[..., :-1]
        return np.concatenate([first, 1 - first.sum(-1, keepdims=True)], axis=-1)


class WeightOutsideTheLogarithm:
    """Appends delta to the scores instead of its logarithm."""

    pretends = "InvertibleGaussian"
    named = "exp(delta) in place of delta"

    @staticmethod
    def relax(noise, temperature, loc, scale, delta):
        return softmax(scores(loc + scale * noise, temperature, np.exp(delta)), axis=-1)


class InverseWithoutDelta:
    """The inverse of the plain softmax with a 0 appended."""

    pretends = "InvertibleGaussian"
    named = "with 1 in place of delta"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        z = inverse(value, temperature, np.ones_like(delta))
        return log_density(value, z, temperature, loc, scale)


class NoLogTemperature:
    """Forgets (K - 1) log(temperature), which a fixed temperature hides."""

    pretends = "InvertibleGaussian"
    named = "(K - 1) log(temperature) is missing"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        z = inverse(value, temperature, delta)
        right = log_density(value, z, temperature, loc, scale)
        return right - loc.shape[-1] * np.log(temperature)


class NoLogScale:
    """The squares in a normal density, without its normalisation."""

    pretends = "InvertibleGaussian"
    named = "sum(log scale) is one too many"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        z = inverse(value, temperature, delta)
        return log_density(value, z, temperature, loc, scale) + np.log(scale).sum(-1)


class NormalDensity:
    """The density of the normal variables, without the derivative of the map to the value."""

    pretends = "InvertibleGaussian"
    named = "density of the logarithm of the value: the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        z = inverse(value, temperature, delta)
        return log_density(value, z, temperature, loc, scale) + logs(value).sum(-1)


class JacobianOfTheFirstCategories:
    """Divides by the first K - 1 entries only, since the last entry is a function of them."""

    pretends = "InvertibleGaussian"
    named = "integrates to"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        z = inverse(value, temperature, delta)
        return log_density(value, z, temperature, loc, scale) + logs(value)[..., -1]


class InverseOfTheLogSoftmax:
    """Inverts by the logarithm of the sum, which loses its digits like 1 - sum."""

    pretends = "InvertibleGaussian"
    named = "There, log_prob is -np.inf"

    @staticmethod
    def log_prob(value, temperature, loc, scale, delta):
        rest = np.log1p(-value[..., :-1].sum(-1, keepdims=True))
        z = temperature[..., None] * (logs(value)[..., :-1] - rest + np.log(delta)[..., None])
        return log_density(value, z, temperature, loc, scale)
