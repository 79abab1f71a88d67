"""Gumbel-Softmax Top-K in its four variants, wrongly. There are always two rows."""

import numpy as np
from scipy.special import gammaln, logsumexp, softmax


def scores(probs, logits):
    with np.errstate(divide="ignore"):
        return np.log(probs) if logits is None else logits


def scaled(noise, temperature, probs, logits):
    """The scores of one row, or of rows between the batch and the categories."""
    log_pi, temperature = scores(probs, logits), np.asarray(temperature)[..., None]
    return (log_pi + noise) / temperature


def masked(first, second):
    """Two rows, the second without the category that the first has chosen."""
    taken = np.arange(first.shape[-1]) == np.argmax(first, axis=-1)[..., None]
    rows = np.stack([first, np.where(taken, -np.inf, second)], axis=-2)
    return softmax(rows, axis=-1)


def hardened(rows):
    return np.eye(rows.shape[-1])[np.argmax(rows, axis=-1)]


def concrete(row, temperature, log_pi, *, constant=True, jacobian=1.0):
    """The log density of one row, on the possible categories."""
    possible = np.broadcast_to(log_pi > -np.inf, row.shape)
    count, temperature = possible.sum(-1), np.asarray(temperature)
    log_c = np.log(np.where(possible, np.maximum(row, 5e-324), 1.0))
    terms = np.where(possible, log_pi - temperature[..., None] * log_c, -np.inf)
    density = np.where(possible, terms, 0).sum(-1) - count * logsumexp(terms, axis=-1)
    density = density - jacobian * log_c.sum(-1)
    if constant:
        density = density + gammaln(count) + (count - 1) * np.log(temperature)
    return np.where(np.any(~possible & (row > 0), axis=-1), -np.inf, density)


def without_first_choice(value, log_pi):
    taken = np.arange(value.shape[-1]) == np.argmax(value[..., 0, :], axis=-1)[..., None]
    return np.where(taken, -np.inf, log_pi)


class MaskForgotten:
    """Repeats the first row: its choice is not removed from the second."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "Row 0 is right, and row 1 is not"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, temperature, probs, logits)
        return softmax(np.stack([first, first], axis=-2), axis=-1)


class SoftMask:
    """Removes the share of the first row, log(1 - c), as the method with soft masks does."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "Row 0 is right, and row 1 is not"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, temperature, probs, logits)
        share = softmax(first, axis=-1)
        rest = scaled(noise + np.log1p(-np.minimum(share, 1 - 1e-16)), temperature, probs, logits)
        return np.stack([share, softmax(rest, axis=-1)], axis=-2)


class TemperatureOfRowsMultiplies:
    """Multiplies by the temperature, as if it were an inverse temperature."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "1 / temperature in place of temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, 1 / np.asarray(temperature), probs, logits)
        return masked(first, first)


class EveryRowCounts:
    """Adds the densities of both rows, as if the second row had its own noise."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "the answer of GumbelSoftmaxTopK(k=2, independent_noise=True)"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = scores(probs, logits)
        second = concrete(value[..., 1, :], temperature, without_first_choice(value, log_pi))
        return concrete(value[..., 0, :], temperature, log_pi) + second


class RowsNotCompared:
    """Scores the first row and ignores the second."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "must return -np.inf"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return concrete(value[..., 0, :], temperature, scores(probs, logits))


class HardenedForSoft:
    """Returns the one-hot rows of the hard variant."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "It is the discrete value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, temperature, probs, logits)
        return hardened(masked(first, first))


class LogSpaceDensity:
    """Scores the first row with the density of its logarithm."""

    pretends = "GumbelSoftmaxTopK(k=2)"
    named = "the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = scores(probs, logits)
        right = masked(np.log(value[..., 0, :]), np.log(value[..., 0, :]))
        follows = np.all(np.isclose(right, value, 1e-9, 1e-300), axis=(-2, -1))
        density = concrete(value[..., 0, :], temperature, log_pi, jacobian=0.0)
        return np.where(follows, density, -np.inf)


class SharedNoise:
    """Gives both rows the noise of the first row."""

    pretends = "GumbelSoftmaxTopK(k=2, independent_noise=True)"
    named = "Row 0 is right"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise[..., 0, :], temperature, probs, logits)
        return masked(first, first)


class IndependentWithoutMask:
    """Two independent Gumbel-Softmax variables: the second row may repeat the first choice."""

    pretends = "GumbelSoftmaxTopK(k=2, independent_noise=True)"
    named = "Row 0 is right"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        rows = [scaled(noise[..., j, :], temperature, probs, logits) for j in range(2)]
        return softmax(np.stack(rows, axis=-2), axis=-1)


class RowsShareOneCount:
    """Uses Gamma(K) and K - 1 for the second row too, which has one category less."""

    pretends = "GumbelSoftmaxTopK(k=2, independent_noise=True)"
    named = "wrong by a term that does not depend on the value"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi, K = scores(probs, logits), value.shape[-1]
        rest = without_first_choice(value, log_pi)
        rows = [
            concrete(value[..., j, :], temperature, left, constant=False)
            for j, left in enumerate((log_pi, rest))
        ]
        return sum(rows) + 2 * (gammaln(K) + (K - 1) * np.log(temperature))


class FirstRowOnly:
    """The density for shared noise, where later rows are functions of the first row."""

    pretends = "GumbelSoftmaxTopK(k=2, independent_noise=True)"
    named = "the answer of GumbelSoftmaxTopK(k=2), not of"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return concrete(value[..., 0, :], temperature, scores(probs, logits))


class SoftForHard:
    """Returns the relaxed rows: the straight-through step is missing."""

    pretends = "GumbelSoftmaxTopK(k=2, hard=True)"
    named = "It is the relaxed value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, temperature, probs, logits)
        return masked(first, first)


class SameCategoryTwice:
    """Hardens the rows of one softmax: the second draw is the first."""

    pretends = "GumbelSoftmaxTopK(k=2, hard=True)"
    named = "Row 0 is right", "in no column twice"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise, temperature, probs, logits)
        return hardened(np.stack([first, first], axis=-2))


class IndependentDraws:
    """Scores the rows as two draws with replacement."""

    pretends = "GumbelSoftmaxTopK(k=2, hard=True)"
    named = "Its probabilities add up to"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = scores(probs, logits)
        log_pi = log_pi - logsumexp(log_pi, axis=-1, keepdims=True)
        chosen = np.where(value == 1, log_pi[..., None, :], 0).sum((-2, -1))
        return chosen + 0 * np.asarray(temperature)


class TemperedProbabilities:
    """Divides the logits by the temperature before it normalises, but does not divide the noise."""

    pretends = "GumbelSoftmaxTopK(k=2, hard=True, independent_noise=True)"
    named = "Its probabilities add up to 1", "another distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = scores(probs, logits) / np.asarray(temperature)[..., None]
        chosen = np.where(value == 1, log_pi[..., None, :], 0).sum(-1)
        rest = np.where(value[..., 0, :] == 1, -np.inf, log_pi)
        left = logsumexp(log_pi, axis=-1) + logsumexp(rest, axis=-1)
        return np.where(np.isneginf(chosen.sum(-1)), -np.inf, chosen.sum(-1) - left)


class NoiseOfTheFirstRow:
    """Gives both rows the noise of the first row, and hardens them."""

    pretends = "GumbelSoftmaxTopK(k=2, hard=True, independent_noise=True)"
    named = "Row 0 is right"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        first = scaled(noise[..., 0, :], temperature, probs, logits)
        return hardened(masked(first, first))
