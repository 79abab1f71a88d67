"""Binary Concrete, relaxed and hard, wrongly."""

import numpy as np
from scipy.special import betaln, expit, log_expit, logit, xlog1py, xlogy


def log_odds(probs, logits):
    return logit(probs) if logits is None else logits


def log_prob_of_logit(y, temperature, probs, logits):
    t = log_odds(probs, logits) - temperature * y
    return np.log(temperature) + log_expit(t) + log_expit(-t)


class OneNoiseForTheBatch:
    """One noise value for the whole batch: a scalar is drawn in place of a tensor."""

    pretends = "BinaryConcrete"
    named = "The noise of element (0,) changes the value of element (1,)"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise[..., :1]) / temperature)


class MeanNoise:
    """Averages the noise over the samples, like a loss that is averaged one step too early."""

    pretends = "BinaryConcrete"
    named = "The noise of sample 0 changes the value of sample 1"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise.mean(0) + 0 * noise) / temperature)


class NoiseOfItsOwn:
    """Draws noise inside the map: no gradient can be compared, no seed repeated."""

    pretends = "BinaryConcrete"
    named = "draws its own noise"
    generator = np.random.default_rng(0)

    @classmethod
    def relax(cls, noise, temperature, probs=None, logits=None):
        noise = cls.generator.logistic(size=noise.shape)
        return expit((log_odds(probs, logits) + noise) / temperature)


class TemperatureMultiplies:
    """Multiplies by the temperature, as if it were an inverse temperature."""

    pretends = "BinaryConcrete"
    named = "1 / temperature in place of temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise) * temperature)


class ProbsAsLogits:
    """Takes probabilities to be logits, such as the unchanged output of a sigmoid layer."""

    pretends = "BinaryConcrete"
    named = "Only if the parameters are temperature and probs", "probs used as logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(((probs if logits is None else logits) + noise) / temperature)


class LogitsAsProbs:
    """Takes logits to be probabilities, as a constructor without keywords may."""

    pretends = "BinaryConcrete"
    named = "logits used as probs"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((logit(logits if probs is None else probs) + noise) / temperature)


class LogOfProbsForLogOdds:
    """log(probs) in place of log(probs / (1 - probs)): the formula for categories."""

    pretends = "BinaryConcrete"
    named = "log(probs) used as logits"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(((np.log(probs) if logits is None else logits) + noise) / temperature)


class NoiseNotDivided:
    """Divides only the logits by the temperature: brackets are missing."""

    pretends = "BinaryConcrete"
    named = "the noise not divided by temperature"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit(log_odds(probs, logits) / temperature + noise)


class ProbsClamped:
    """Keeps probabilities at a distance of 1e-6 from 0 and 1, to avoid infinite logarithms."""

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
    """Forgets the logarithm of the temperature."""

    pretends = "BinaryConcrete"
    named = "log(temperature) is missing", "integrates to"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 5e-324, 1 - 2**-53)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(temperature) - np.log(c) - np.log1p(-c)


class BetaPasted:
    """The density of a Beta distribution with the same mean."""

    pretends = "BinaryConcrete"
    named = "density of a Beta distribution"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        pi, c = expit(log_odds(probs, logits)), np.clip(value, 5e-324, 1 - 2**-53)
        a, b = pi / temperature, (1 - pi) / temperature
        return xlogy(a - 1, c) + xlog1py(b - 1, -c) - betaln(a, b)


class ValuesClamped:
    """Keeps values away from 0 and 1 by the rounding of single precision."""

    pretends = "BinaryConcrete"
    named = "the distance of value from 0 and 1 is at most", "value is clamped"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 1.2e-7, 1 - 1.2e-7)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(c) - np.log1p(-c)


class NothingAtTheEdge:
    """The formula as written: NaN if a sample is rounded to 0 or 1."""

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
    """Returns the loss in place of the log density."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is -x, where x is the right answer"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        odds = log_odds(probs, logits) + 0 * temperature
        return -np.where(value == 1, log_expit(odds), log_expit(-odds))


class ThresholdOnTheLogit:
    """Hardens the logit at one half, which is the threshold of the value."""

    pretends = "BinaryConcrete(hard=True)"
    named = "hardened at a threshold between 0."

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return np.where((log_odds(probs, logits) + noise) / temperature >= 0.5, 1.0, 0.0)


class NotHardened:
    """Returns the relaxed value: the flag `hard` is never read."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is the relaxed value"

    @staticmethod
    def relax(noise, temperature, probs=None, logits=None):
        return expit((log_odds(probs, logits) + noise) / temperature)


class RelaxedDensityOfHardSample:
    """Scores a hard sample with the density of the relaxed sample, at the clamped ends."""

    pretends = "BinaryConcrete(hard=True)"
    named = "It is the log density of the relaxed value"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        c = np.clip(value, 1e-9, 1 - 1e-9)
        log_prob = log_prob_of_logit(logit(c), temperature, probs, logits)
        return log_prob - np.log(c) - np.log1p(-c)


class ZeroAndOneExchanged:
    """Exchanges the probabilities of 0 and 1."""

    pretends = "BinaryConcrete(hard=True)"
    named = "1 - probs in place of probs"

    @staticmethod
    def log_prob(value, temperature, probs=None, logits=None):
        odds = log_odds(probs, logits)
        return np.where(value == 0, log_expit(odds), log_expit(-odds)) + 0 * temperature
