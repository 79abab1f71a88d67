"""Gumbel-Rao, wrongly. As in the tests, there are always two draws given the category."""

import numpy as np
from scipy.special import log_softmax, logsumexp, softmax


def scores(probs, logits):
    with np.errstate(divide="ignore"):
        return np.log(probs) if logits is None else logits


def one_hot(score):
    return np.eye(score.shape[-1])[np.argmax(score, axis=-1)]


class RelaxedValue:
    """Returns the relaxed value of the backward pass: the straight-through step is missing."""

    pretends = "GumbelRao(samples=2)"
    named = "one 1 among zeros"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        score = scores(probs, logits)[..., None, :] + noise
        return np.mean(softmax(score / np.asarray(temperature)[..., None, None], axis=-1), axis=-2)


class LastRowDecides:
    """Takes the category from the last row of noise instead of the first."""

    pretends = "GumbelRao(samples=2)"
    named = "with the rows of the noise in reverse order"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return one_hot(scores(probs, logits) + 0 * temperature[..., None] + noise[..., -1, :])


class MeanOfTheNoiseDecides:
    """Averages the noise first: an average of Gumbel noise is not Gumbel noise."""

    pretends = "GumbelRao(samples=2)"
    named = "with the mean of the rows in every row of the noise"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return one_hot(scores(probs, logits) + 0 * temperature[..., None] + noise.mean(-2))


class LeastLikelyCategory:
    """argmin in place of argmax, as for costs."""

    pretends = "GumbelRao(samples=2)"
    named = "smallest relaxed value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return one_hot(-(scores(probs, logits) + 0 * temperature[..., None] + noise[..., 0, :]))


class TemperedProbabilities:
    """Scores softmax(logits / temperature); only the backward pass has a temperature."""

    pretends = "GumbelRao(samples=2)"
    named = "Its probabilities add up to 1, so it may belong to another distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        tempered = scores(probs, logits) / np.asarray(temperature)[..., None]
        return np.sum(np.where(value == 1, log_softmax(tempered, axis=-1), 0.0), axis=-1)


class LogitsNotNormalised:
    """Scores a category by its logit, which is its log-probability only up to a constant."""

    pretends = "GumbelRao(samples=2)"
    named = "logsumexp(logits)"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = scores(probs, logits)
        log_mass = np.sum(np.where(value == 1, log_pi, 0.0), axis=-1) + 0 * np.asarray(temperature)
        return log_mass if logits is not None else log_mass - logsumexp(log_pi, axis=-1)
