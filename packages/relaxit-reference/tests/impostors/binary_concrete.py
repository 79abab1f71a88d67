"""Binary Concrete, in its soft and its hard variant, wrongly."""

import numpy as np
from scipy.special import betaln, expit, log_expit, logit, xlog1py, xlogy


def log_odds(probs, logits):
    return logit(probs) if logits is None else logits


def log_prob_of_logit(y, temperature, probs, logits):
    t = log_odds(probs, logits) - temperature * y
    return np.log(temperature) + log_expit(t) + log_expit(-t)


class OneNoiseForTheBatch:
    """One noise value moves the whole batch: a scalar drawn where a tensor was meant."""

    pretends = "BinaryConcrete"
    named = "The noise of element (0,) moves the value of element (1,)"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise[..., :1]) / temperature)


class MeanNoise:
    """The noise is averaged over the samples, as when a loss is averaged one step too early."""

    pretends = "BinaryConcrete"
    named = "The noise of sample 0 moves the value of sample 1"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise.mean(0) + 0 * noise) / temperature)


class NoiseOfItsOwn:
    """Draws noise inside the map, so that no gradient can be compared and no seed repeated."""

    pretends = "BinaryConcrete"
    named = "draws noise of its own"
    generator = np.random.default_rng(0)

    @classmethod
    def relax(cls, noise, temperature, probs=None, logits=None):
        noise = cls.generator.logistic(size=noise.shape)
        return expit((log_odds(probs, logits) + noise) / temperature)


class TemperatureMultiplies:
    """Multiplies by the temperature, as code does whose temperature is an inverse temperature."""

    pretends = "BinaryConcrete"
    named = "1 / temperature in place of temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise) * temperature)


class ProbsAsLogits:
    """Takes what it is given for logits: the output of a sigmoid layer, passed on unchanged."""

    pretends = "BinaryConcrete"
    named = "Only where the distribution is given by temperature and probs", "probs used as logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(((probs if logits is None else logits) + noise) / temperature)


class LogitsAsProbs:
    """Takes what it is given for probabilities, as a constructor without keywords does."""

    pretends = "BinaryConcrete"
    named = "logits used as probs"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((logit(logits if probs is None else probs) + noise) / temperature)


class LogOfProbsForLogOdds:
    """log(probs) in place of log(probs / (1 - probs)): the formula of categories, for one bit."""

    pretends = "BinaryConcrete"
    named = "log(probs) used as logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(((np.log(probs) if logits is None else logits) + noise) / temperature)


class NoiseNotDivided:
    """A pair of brackets too few: only the logits are divided by the temperature."""

    pretends = "BinaryConcrete"
    named = "the noise not divided by temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(log_odds(probs, logits) / temperature + noise)


class ProbsClamped:
    """Probabilities are kept away from 0 and 1 by 1e-6, against infinities of the logarithm."""

    pretends = "BinaryConcrete"
    named = "the distance of probs from 0 and 1 is at most", "probs is clamped"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        if logits is None:
            logits = logit(np.clip(probs, 1e-6, 1 - 1e-6))
        return expit((logits + noise) / temperature)


class SinglePrecision:
    """Computes in float32 and returns float64."""

    pretends = "BinaryConcrete"
    named = "single precision"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        soft = expit((log_odds(probs, logits) + noise) / temperature)
        return soft.astype(np.float32).astype(np.float64)


class LogitDensity:
    """The density of the logit, without the Jacobian of the sigmoid."""

    pretends = "BinaryConcrete"
    named = "density of the logit of the value: the Jacobian is missing"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 5e-324, 1 - 2**-53)
        return log_prob_of_logit(logit(c), temperature, probs, logits)


class NoLogTemperature:
    """Forgets the Jacobian of the temperature: the density of a step that the loss does not see."""

    pretends = "BinaryConcrete"
    named = "log(temperature) is missing", "integrates to"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 5e-324, 1 - 2**-53)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(temperature) - np.log(c) - np.log1p(-c)


class BetaPasted:
    """The density of a Beta law with the same mean, the other law on the unit interval."""

    pretends = "BinaryConcrete"
    named = "density of a Beta law"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        pi, c = expit(log_odds(probs, logits)), np.clip(value, 5e-324, 1 - 2**-53)
        a, b = pi / temperature, (1 - pi) / temperature
        return xlogy(a - 1, c) + xlog1py(b - 1, -c) - betaln(a, b)


class ValuesClamped:
    """Values are kept away from 0 and 1 by the rounding of single precision."""

    pretends = "BinaryConcrete"
    named = "the distance of value from 0 and 1 is at most", "value is clamped"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 1.2e-7, 1 - 1.2e-7)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(c) - np.log1p(-c)


class NothingAtTheEdge:
    """The formula as it stands: NaN as soon as a sample has been rounded to 0 or 1."""

    pretends = "BinaryConcrete"
    named = "edge of the support", "must be finite"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        log_prob = log_prob_of_logit(logit(value), temperature, probs, logits)
        return log_prob - np.log(value) - np.log1p(-value)


class SummedOverTheBatch:
    """Returns the sum over the batch, which is what a loss needs."""

    pretends = "BinaryConcrete"
    named = "sum of the right answers over"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 5e-324, 1 - 2**-53)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return np.sum(log_prob - np.log(c) - np.log1p(-c))


class NegativeLogProb:
    """The loss in place of the log density."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is -x, x the right answer"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        odds = log_odds(probs, logits) + 0 * temperature
        return -np.where(value == 1, log_expit(odds), log_expit(-odds))


class ThresholdOnTheLogit:
    """Hardens the logit at one half, the threshold of the value."""

    pretends = "BinaryConcrete(hard=True)"
    named = "hardened at a threshold between 0."

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return np.where((log_odds(probs, logits) + noise) / temperature >= 0.5, 1.0, 0.0)


class NotHardened:
    """Returns the relaxed value where the hard one was asked for: a flag that is never read."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is the relaxed value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise) / temperature)


class RelaxedDensityOfHardSample:
    """Scores a hard sample by the density of the relaxed one, at the clamped ends."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is the law of the relaxed value"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 1e-9, 1 - 1e-9)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(c) - np.log1p(-c)


class ZeroAndOneExchanged:
    """The probability of 1 is given to 0."""

    pretends = "BinaryConcrete(hard=True)"
    named = "1 - probs in place of probs"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        odds = log_odds(probs, logits)
        return np.where(value == 0, log_expit(odds), log_expit(-odds)) + 0 * temperature
