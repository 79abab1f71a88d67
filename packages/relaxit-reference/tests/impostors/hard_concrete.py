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


def with_atoms(value, inside, temperature, probs, logits, low, high):
    at_0 = log_expit(temperature * np.log(-low / high) - log_odds(probs, logits))
    at_1 = log_expit(log_odds(probs, logits) - temperature * np.log((1 - low) / (high - 1)))
    return np.where(value <= 0, at_0, np.where(value >= 1, at_1, inside))


class OneNoiseForTheBatch:
    """One logistic number for a layer of gates, which then open and close together."""

    pretends = "HardConcrete"
    named = "The noise of element (0,) moves the value of element (1,)"

    @staticmethod
    def relax(noise, temperature, low, high, probs=None, logits=None):
        return stretched(noise[..., :1], temperature, probs, logits, low, high)


class WidthForgotten:
    """The stretch has no Jacobian: log(high - low) is missing between the atoms."""

    pretends = "HardConcrete"
    named = ("log(high - low) is one too many", "Its density integrates to")

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        inside = density(value, temperature, probs, logits, low, high, 0.0)
        return with_atoms(value, inside, temperature, probs, logits, low, high)


class AtomsOfTheProbability:
    """The closed gate has mass 1 - pi, as without temperature and stretch."""

    pretends = "HardConcrete"
    named = "It is wrong at 0"

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        inside = density(value, temperature, probs, logits, low, high, np.log(high - low))
        right = with_atoms(value, inside, temperature, probs, logits, low, high)
        return np.where(value <= 0, log_expit(-log_odds(probs, logits)), right)


class NoAtoms:
    """The stretched density everywhere."""

    pretends = "HardConcrete"
    named = "At 1 it returns the density next to it: the atom is missing"

    @staticmethod
    def log_prob(value, temperature, low, high, probs=None, logits=None):
        return density(value, temperature, probs, logits, low, high, np.log(high - low))


class StretchedByDefault:
    """The usual -0.1 and 1.1, whatever was asked for."""

    pretends = "HardConcrete"
    named = "It differs at"

    @staticmethod
    def relax(noise, temperature, low, high, probs=None, logits=None):
        return stretched(noise, temperature, probs, logits, -0.1, 1.1)
