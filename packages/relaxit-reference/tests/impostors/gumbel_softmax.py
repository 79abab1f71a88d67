"""Gumbel-Softmax, relaxed and hard, wrongly."""

import numpy as np
from scipy.special import gammaln, log_softmax, logsumexp, softmax


def scores(probs, logits):
    return np.log(probs) if logits is None else logits


def scaled(noise, temperature, probs, logits):
    return (scores(probs, logits) + noise) / np.asarray(temperature)[..., None]


def log_density(value, temperature, probs, logits, *, log_gamma=1.0, jacobian=1.0, power=None):
    """The right log density; one term can get another weight."""
    log_pi, temperature = scores(probs, logits), np.asarray(temperature)
    possible = np.broadcast_to(log_pi > -np.inf, value.shape)
    count = possible.sum(-1)
    log_c = np.log(np.where(possible, np.maximum(value, 5e-324), 1.0))
    terms = np.where(possible, log_pi - temperature[..., None] * log_c, -np.inf)
    return (
        log_gamma * gammaln(count)
        + (count - 1 if power is None else power(count)) * np.log(temperature)
        + np.sum(np.where(possible, terms, 0), axis=-1)
        - count * logsumexp(terms, axis=-1)
        - jacobian * log_c.sum(-1)
    )


class GumbelOfGumbel:
    """Makes Gumbel noise from noise that is Gumbel already."""

    pretends = "GumbelSoftmax"
    named = "gumbel noise made again"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        uniform = np.clip(noise, 1e-9, 1 - 1e-9)
        return softmax(scaled(-np.log(-np.log(uniform)), temperature, probs, logits), axis=-1)


class NoiseSign:
    """log(-log(u)): the outer minus of the Gumbel formula is missing."""

    pretends = "GumbelSoftmax"
    named = "the noise negated"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return softmax(scaled(-noise, temperature, probs, logits), axis=-1)


class SoftmaxOverTheBatch:
    """Normalises over the first axis, the default of another library."""

    pretends = "GumbelSoftmax"
    named = "changes the value of", "normalised over axis 0 instead of the last axis"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return softmax(scaled(noise, temperature, probs, logits), axis=0)


class OneNoiseForTheCategories:
    """One noise value for all categories of an event, which the softmax removes again."""

    pretends = "GumbelSoftmax"
    named = "does not change its own value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return softmax(scaled(noise[..., :1], temperature, probs, logits), axis=-1)


class ProbsInsideSoftmax:
    """Adds the noise to the probabilities instead of their logarithms."""

    pretends = "GumbelSoftmax"
    named = "probs used as logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return softmax(
            scaled(noise, temperature, None, probs if logits is None else logits), axis=-1
        )


class SoftmaxTwice:
    """Takes the softmax of logits to be logits: the activation is applied twice."""

    pretends = "GumbelSoftmax"
    named = "softmax(logits) in place of logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        logits = np.log(probs) if logits is None else softmax(logits, axis=-1)
        return softmax(scaled(noise, temperature, None, logits), axis=-1)


class UnshiftedExponential:
    """exp(x) / sum(exp(x)) without subtracting the largest x: NaN at low temperatures."""

    pretends = "GumbelSoftmax"
    named = "NaN or infinite", "overflows", "temperature is at most"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        weights = np.exp(scaled(noise, temperature, probs, logits))
        return weights / weights.sum(-1, keepdims=True)


class TemperatureWithoutEventDimension:
    """Divides an event by the temperature of the batch: right for one temperature only."""

    pretends = "GumbelSoftmax"
    named = "could not be broadcast"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return softmax((scores(probs, logits) + noise) / temperature, axis=-1)


class ResultClamped:
    """Keeps values above 1e-10, to avoid infinite logarithms."""

    pretends = "GumbelSoftmax"
    named = "often returns 1e-10: its result is clamped"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return np.maximum(softmax(scaled(noise, temperature, probs, logits), axis=-1), 1e-10)


class ImpossibleCategoriesForgotten:
    """Raises every logit to -20: an impossible category is chosen at times."""

    pretends = "GumbelSoftmax"
    named = "the smallest entry of logits is at most", "logits is clamped"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        logits = np.maximum(scores(probs, logits), -20.0) if probs is None else np.log(probs)
        return softmax(scaled(noise, temperature, None, logits), axis=-1)


class ImpossibleValuesScored:
    """Leaves categories of probability 0 out of the density, even if the value has them."""

    pretends = "GumbelSoftmax"
    named = "must return -np.inf", "the smallest entry of probs is at most 0"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return log_density(value, temperature, probs, logits)


class NoLogTemperature:
    """Forgets (K - 1) log(temperature), which a fixed temperature hides."""

    pretends = "GumbelSoftmax"
    named = "(K - 1) log(temperature) is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return log_density(value, temperature, probs, logits, power=lambda count: 0)


class AllCategoriesCount:
    """K log(temperature), although only K - 1 categories are free."""

    pretends = "GumbelSoftmax"
    named = "log(temperature) is one too many", "integrates to"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return log_density(value, temperature, probs, logits, power=lambda count: count)


class NoLogGamma:
    """Forgets log Gamma(K), the volume of the simplex."""

    pretends = "GumbelSoftmax"
    named = "log Gamma(K) is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return log_density(value, temperature, probs, logits, log_gamma=0.0)


class LogSpaceDensity:
    """Temperature in place of temperature + 1: the density of the logarithm."""

    pretends = "GumbelSoftmax"
    named = "density of the logarithm of the value: the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        return log_density(value, temperature, probs, logits, jacobian=0.0)


class NormaliserCountedOnce:
    """The logarithm of the sum once instead of K times."""

    pretends = "GumbelSoftmax"
    named = "integrates to", "when 1 is added to all logits"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi, temperature = scores(probs, logits), np.asarray(temperature)
        log_c, count = np.log(np.maximum(value, 5e-324)), value.shape[-1]
        terms = log_pi - temperature[..., None] * log_c
        constant = gammaln(count) + (count - 1) * np.log(temperature)
        return constant + np.sum(terms - log_c, axis=-1) - logsumexp(terms, axis=-1)


class DirichletPasted:
    """The density of a Dirichlet distribution with the same mean."""

    pretends = "GumbelSoftmax"
    named = "density of a Dirichlet distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        a = softmax(scores(probs, logits), axis=-1) / np.asarray(temperature)[..., None]
        terms = (a - 1) * np.log(np.maximum(value, 5e-324)) - gammaln(a)
        return gammaln(a.sum(-1)) + terms.sum(-1)


class NotSummedOverTheEvent:
    """Returns one number for each category and leaves the sum to the caller."""

    pretends = "GumbelSoftmax(hard=True)"
    named = "The sum over the event dimension is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_pi = (
            log_softmax(scores(probs, logits), axis=-1) + 0 * np.asarray(temperature)[..., None]
        )
        return np.where(value == 1, log_pi, 0.0)


class LeastLikelyCategory:
    """argmin in place of argmax, as for costs."""

    pretends = "GumbelSoftmax(hard=True)"
    named = "smallest relaxed value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        soft = scaled(noise, temperature, probs, logits)
        return np.eye(soft.shape[-1])[np.argmin(soft, axis=-1)]


class LogitsNotNormalised:
    """Scores a category by its logit, which is its log-probability only up to a constant."""

    pretends = "GumbelSoftmax(hard=True)"
    named = "Only if the parameters are temperature and logits", "logsumexp(logits)"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        zero = 0 * np.asarray(temperature)[..., None]
        return np.sum(np.where(value == 1, scores(probs, logits) + zero, 0.0), axis=-1)


class BackwardTemperatureForward:
    """Returns the value at the temperature of the backward pass."""

    pretends = "GumbelSoftmax(backward_temperature)"
    named = "with temperature and backward_temperature exchanged"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None, backward_temperature=None):
        return softmax(scaled(noise, backward_temperature, probs, logits), axis=-1)


class DensityOfTheBackwardPass:
    """Scores with the temperature of the backward pass."""

    pretends = "GumbelSoftmax(backward_temperature)"
    named = "with temperature and backward_temperature exchanged"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None, backward_temperature=None):
        return log_density(value, backward_temperature, probs, logits)


class ForwardTemperatureInTheDensity:
    """Scores softmax(logits / temperature), as if hard samples had a forward temperature."""

    pretends = "GumbelSoftmax(hard=True, backward_temperature)"
    named = "Its probabilities add up to 1, so it may belong to another distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None, backward_temperature=None):
        tempered = scores(probs, logits) / np.asarray(temperature)[..., None]
        return np.sum(np.where(value == 1, log_softmax(tempered, axis=-1), 0.0), axis=-1)
