"""Gumbel-Softmax in log space, wrongly."""

import numpy as np
from scipy.special import gammaln, log_softmax, logsumexp, softmax


def scaled(noise, temperature, probs, logits):
    log_pi = np.log(probs) if logits is None else logits
    return (log_pi + noise) / np.asarray(temperature)[..., None]


class LogOfSoftmax:
    """The logarithm of a softmax that rounds to 0, plus a small number to avoid -inf."""

    pretends = "ExpGumbelSoftmax"
    named = "often returns -46.1", "its result is clamped"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return np.log(
            np.maximum(softmax(scaled(noise, temperature, probs, logits), axis=-1), 1e-20)
        )


class NotNormalised:
    """Forgets to normalise: scores are logarithms of weights, not of probabilities."""

    pretends = "ExpGumbelSoftmax"
    named = "up to a constant in each event"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return scaled(noise, temperature, probs, logits)


class TemperatureSquared:
    """Divides by the temperature twice, in two functions."""

    pretends = "ExpGumbelSoftmax"
    named = "temperature**2 in place of temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        tempered = scaled(noise, temperature, probs, logits)
        return log_softmax(tempered / np.asarray(temperature)[..., None], axis=-1)


class SimplexDensity:
    """The density on the simplex, scored at the logarithm of the value."""

    pretends = "ExpGumbelSoftmax"
    named = "density of exp(value): the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        count, terms = value.shape[-1], scaled(0, 1.0, probs, logits)
        terms = terms - np.asarray(temperature)[..., None] * value
        constant = gammaln(count) + (count - 1) * np.log(temperature)
        return constant + np.sum(terms - value, axis=-1) - count * logsumexp(terms, axis=-1)
