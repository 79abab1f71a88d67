"""Hard Concrete gates, wrongly."""

import numpy as np
from scipy.special import expit, log_expit, logit


def log_odds(probs, logits):
    return logit(probs) if logits is None else logits


def stretched(noise, temperature, probs, logits, low, high):
    s = expit((log_odds(probs, logits) + noise) / temperature)
    return np.clip((high - low) * s + low, 0, 1)


def density(value, temperature, probs, logits, low, high, log_width):
    s = (value - low) / (high - low)
    t = log_odds(probs, logits) - temperature * logit(s)
    inside = np.log(temperature) + log_expit(t) + log_expit(-t) - np.log(s) - np.log1p(-s)
    return inside - log_width


def with_point_masses(value, inside, temperature, probs, logits, low, high):
    at_0 = log_expit(temperature * np.log(-low / high) - log_odds(probs, logits))
    at_1 = log_expit(log_odds(probs, logits) - temperature * np.log((1 - low) / (high - 1)))
    return np.where(value <= 0, at_0, np.where(value >= 1, at_1, inside))


class OneNoiseForTheBatch:
    """Draws one logistic number for all gates of a layer, which open and close together."""

    pretends = "HardConcrete"
    named = "The noise of element (0,) changes the value of element (1,)"

    @staticmethod
    def relax(noise, temperature, low, high, probs=None, logits=None):
        return stretched(noise[..., :1], temperature, probs, logits, low, high)


class WidthForgotten:
    """The stretch has no Jacobian: log(high - low) is missing between 0 and 1."""

    pretends = "HardConcrete"
    named = ("log(high - low) is one too many", "Its density integrates to")

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        inside = density(value, temperature, probs, logits, low, high, 0.0)
        return with_point_masses(value, inside, temperature, probs, logits, low, high)


class PointMassesOfTheProbability:
    """Gives the closed gate the probability 1 - pi, which ignores temperature and stretch."""

    pretends = "HardConcrete"
    named = "It is wrong at 0"

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        inside = density(value, temperature, probs, logits, low, high, np.log(high - low))
        right = with_point_masses(value, inside, temperature, probs, logits, low, high)
        return np.where(value <= 0, log_expit(-log_odds(probs, logits)), right)


class NoPointMasses:
    """Returns the stretched density everywhere, also at 0 and 1."""

    pretends = "HardConcrete"
    named = "At 1 it returns the density next to it: the point mass is missing"

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        return density(value, temperature, probs, logits, low, high, np.log(high - low))


class StretchedByDefault:
    """Always stretches to the default (-0.1, 1.1)."""

    pretends = "HardConcrete"
    named = "It differs at"

    @staticmethod
    def relax(noise, temperature, low, high, probs=None, logits=None):
        return stretched(noise, temperature, probs, logits, -0.1, 1.1)
