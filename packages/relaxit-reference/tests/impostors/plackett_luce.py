"""Plackett-Luce, wrongly. As in the tests, there are always two draws."""

import numpy as np
from scipy.special import logsumexp


def scores(probs, logits):
    with np.errstate(divide="ignore"):
        return np.log(probs) if logits is None else logits


def one_hot(indices, categories):
    return np.eye(categories)[indices]


def order(values):
    """The two largest, in descending order."""
    return np.argsort(-values, axis=-1, kind="stable")[..., :2]


def log_mass(value, log_pi, *, left=True):
    """The right log-probability; the normaliser of the second draw can be left out."""
    first, second = value[..., 0, :], value[..., 1, :]
    total = logsumexp(log_pi, axis=-1)
    rest = logsumexp(np.where(first == 1, -np.inf, log_pi), axis=-1) if left else total
    chosen = np.where(value == 1, log_pi[..., None, :], 0).sum((-2, -1))
    return np.where(np.isneginf(chosen), -np.inf, chosen - total - rest) + 0 * second.sum(-1)


class WithReplacement:
    """The second draw divides by all of the mass, as if the first category were put back."""

    pretends = "PlackettLuce(k=2)"
    named = "Its probabilities add up to"

    @staticmethod
    def log_prob(value, probs=None, logits=None):
        return log_mass(value, scores(probs, logits), left=False)


class ProbabilityOfTheSubset:
    """Adds the probabilities of both orders."""

    pretends = "PlackettLuce(k=2)"
    named = "Its probabilities add up to 2"

    @staticmethod
    def log_prob(value, probs=None, logits=None):
        log_pi = scores(probs, logits)
        return np.logaddexp(log_mass(value, log_pi), log_mass(value[..., ::-1, :], log_pi))


class SubtractsFromOne:
    """log(1 - pi) of the rest, rounded to log(0) if one category has nearly all the mass."""

    pretends = "PlackettLuce(k=2)"
    named = "entry of probs is at"

    @staticmethod
    def log_prob(value, probs=None, logits=None):
        log_pi = scores(probs, logits)
        log_pi = log_pi - logsumexp(log_pi, axis=-1, keepdims=True)
        chosen = np.where(value == 1, log_pi[..., None, :], 0).sum(-1)
        return chosen.sum(-1) - np.log(1 - np.exp(chosen[..., 0]))


class LogitsNotNormalised:
    """Leaves out the normaliser of the first draw, which is 1 only for probabilities."""

    pretends = "PlackettLuce(k=2)"
    named = "logsumexp(logits)"

    @staticmethod
    def log_prob(value, probs=None, logits=None):
        log_pi = scores(probs, logits)
        return log_mass(value, log_pi) + logsumexp(log_pi, axis=-1)


class InOrderOfTheCategories:
    """Sorts the drawn categories by number and loses the order of the draws."""

    pretends = "PlackettLuce(k=2)"
    named = "rows are right, but in another order"

    @staticmethod
    def relax(noise, probs=None, logits=None):
        log_pi = scores(probs, logits)
        return one_hot(np.sort(order(log_pi + noise), axis=-1), log_pi.shape[-1])


class LeastLikelyFirst:
    """argsort without a minus: the two smallest scores, as for costs."""

    pretends = "PlackettLuce(k=2)"
    named = "smallest"

    @staticmethod
    def relax(noise, probs=None, logits=None):
        log_pi = scores(probs, logits)
        return one_hot(order(-(log_pi + noise)), log_pi.shape[-1])


class FirstCategoryPutBack:
    """Draws each row from the same scores: both have the same category."""

    pretends = "PlackettLuce(k=2)"
    named = "one 1 among zeros in every row, in no column twice"

    @staticmethod
    def relax(noise, probs=None, logits=None):
        log_pi = scores(probs, logits)
        return one_hot(order(log_pi + noise)[..., [0, 0]], log_pi.shape[-1])
