"""Binary Concrete in logit space, wrongly."""

import numpy as np
from scipy.special import expit, log_expit, logit


def log_odds(probs, logits):
    return logit(probs) if logits is None else logits


class ScaleAsVariance:
    """Divides by the square root of the temperature, as if it were a variance."""

    pretends = "LogitBinaryConcrete"
    named = "sqrt(temperature) in place of temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return (log_odds(probs, logits) + noise) / np.sqrt(temperature)


class AlreadySquashed:
    """Returns the value in (0, 1): one sigmoid too many."""

    pretends = "LogitBinaryConcrete"
    named = "It is sigmoid(x), where x is the right answer"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise) / temperature)


class DensityOfTheSigmoid:
    """The density of the value in (0, 1), scored at its logit."""

    pretends = "LogitBinaryConcrete"
    named = "density of sigmoid(value): the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        t = log_odds(probs, logits) - temperature * value
        log_prob = np.log(temperature) + log_expit(t) + log_expit(-t)
        return log_prob - log_expit(value) - log_expit(-value)


class NormalPasted:
    """A normal density with the same mean and variance in place of the logistic density."""

    pretends = "LogitBinaryConcrete"
    named = "density of a normal distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        scale = np.pi / np.sqrt(3) / temperature
        z = (value - log_odds(probs, logits) / temperature) / scale
        return -(z**2) / 2 - np.log(scale) - np.log(2 * np.pi) / 2


class DensityNotItsLogarithm:
    """Returns the density instead of its logarithm."""

    pretends = "LogitBinaryConcrete"
    named = "It is exp(x), where x is the right answer"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        t = log_odds(probs, logits) - temperature * value
        return temperature * expit(t) * expit(-t)


class UnguardedExponential:
    """log(1 + exp(t)) as written, which overflows in the tail."""

    pretends = "LogitBinaryConcrete"
    named = "NaN or infinite", "overflows"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        t = log_odds(probs, logits) - temperature * value
        return np.log(temperature) + t - 2 * np.log(1 + np.exp(t))
