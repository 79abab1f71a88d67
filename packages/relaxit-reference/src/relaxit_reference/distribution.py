"""The base of every reference distribution: a frozen dataclass of parameters, with noise and a map.

Written for reading, in float64: not for speed, and without numerical tricks that the PyTorch side
might share.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import DTypeLike
from scipy.special import expit, logit, softmax
from scipy.stats import norm

from relaxit_reference.domains import Array, Chart, Numeric, OneHot
from relaxit_reference.spec import Spec, load_spec

Size = int | tuple[int, ...] | None
RandomState = int | np.random.Generator | None


@dataclass(frozen=True, eq=False)
class ReferenceDistribution:
    """A distribution that holds its parameters to its specification.

    The constructor turns parameters into float64 arrays. A method without a closed form raises
    NotImplementedError.

    Shapes: parameters broadcast to `batch_shape`. A value has shape
    `(*size, *batch_shape, *event_shape)`.

    Raises:
        ValueError: a parameter is outside its domain, not exactly one parameter of an exclusive
            group is given, or batch shapes do not broadcast.
    """

    def __post_init__(self) -> None:
        for group in self.spec.exclusive:
            given = [name for name in group if getattr(self, name) is not None]
            if len(given) != 1:
                found = " and ".join(given) or "none"
                raise ValueError(
                    f"exactly one of {', '.join(group)} must be given, but got {found}"
                )
        exclusive = {name for group in self.spec.exclusive for name in group}
        for name in self.spec.parameters:
            if getattr(self, name) is not None or name not in exclusive:
                self._check(name)
        self._check_shapes()

    def _check(self, name: str) -> None:
        """Checks a parameter against its domain, and keeps it as an array unless it is a count."""
        domain = self.spec.parameters[name].domain
        value = np.array(getattr(self, name), dtype=np.float64)
        if value.ndim < domain.event_dim:
            raise ValueError(
                f"{name} must have at least {domain.event_dim} dimension(s), "
                f"but got shape {value.shape}"
            )
        valid = domain.contains(value)
        if not np.all(valid):
            index = tuple(int(i) for i in np.argwhere(~valid)[0])
            place = f" at index {index}" if index else ""
            raise ValueError(
                f"{name} must be {domain.describe()}, but got {value[index].tolist()}{place}"
            )
        if name not in self.spec.counts:
            object.__setattr__(self, name, value)

    def _check_shapes(self) -> None:
        events = {
            name: value.shape[value.ndim - self.spec.parameters[name].domain.event_dim :]
            for name, value in self._given().items()
        }
        if len({size for shape in events.values() for size in shape}) > 1:
            found = ", ".join(f"{name} {shape}" for name, shape in events.items() if shape)
            raise ValueError(f"events of parameters must have one size, but got {found}")
        try:
            _ = self.batch_shape
        except ValueError:
            shapes = {name: value.shape for name, value in self._given().items()}
            found = ", ".join(f"{name} {shape}" for name, shape in shapes.items())
            message = f"batch shapes of parameters must broadcast, but got {found}"
            raise ValueError(message) from None

    @cached_property
    def spec(self) -> Spec:
        """The specification of this variant, with its counts."""
        name = type(self).__module__.rpartition(".")[2]  # the file has the name of the module
        counts = {
            count: getattr(self, count)
            for count, parameter in load_spec(name).counts.items()
            if parameter.domain.contains(getattr(self, count))
        }
        *_, last = (
            variant
            for variant in load_spec(name, **counts).with_variants()
            if all(getattr(self, optional) is not None for optional in variant.optional)
            if all(
                getattr(self, name) == value
                for name, value in variant.arguments.items()
                if isinstance(value, bool)
            )
        )
        return last

    @cached_property
    def batch_shape(self) -> tuple[int, ...]:
        """The shape that the parameters broadcast to, without their event dimensions."""
        return np.broadcast_shapes(
            *(
                value.shape[: value.ndim - self.spec.parameters[name].domain.event_dim]
                for name, value in self._given().items()
            )
        )

    @property
    def event_shape(self) -> tuple[int, ...]:
        """The shape of one value. Default: the event shape of a parameter."""
        for name, value in self._given().items():
            if self.spec.parameters[name].domain.event_dim == self.spec.event_dim:
                return tuple(value.shape[value.ndim - self.spec.event_dim :])
        raise NotImplementedError

    @property
    def noise_shape(self) -> tuple[int, ...]:
        """The shape of the noise of one value."""
        return self.event_shape

    def noise(self, size: Size = None, random_state: RandomState = None) -> Array:
        """Draws base noise of shape `(*size, *batch_shape, *noise_shape)`."""
        random = np.random.default_rng(random_state)
        sample = () if size is None else tuple(np.atleast_1d(size))
        samplers: dict[str, Callable[..., Array]] = {
            "uniform": random.uniform,
            "normal": random.normal,
            "gumbel": random.gumbel,
            "logistic": random.logistic,
        }
        shape = (*sample, *self.batch_shape, *self.noise_shape)
        return np.asarray(samplers[self.spec.noise.distribution](size=shape))

    def rvs(self, size: Size = None, random_state: RandomState = None) -> Array:
        """Draws values of shape `(*size, *batch_shape, *event_shape)`."""
        return self.relax(self.noise(size, random_state))

    def relax(self, noise: Numeric) -> Array:
        """The value of `noise`."""
        if not getattr(self, "hard", False):
            return self.relaxed(noise)
        # The temperature does not change which score is largest; at 1 no scores round to a tie.
        warm: Any = self
        if "temperature" in self.spec.parameters:
            warm = replace(warm, temperature=1.0)
        return self.harden(warm.relaxed(noise))

    def relaxed(self, noise: Numeric) -> Array:
        """The relaxed value. A hard distribution returns `harden(relaxed(noise))`.

        Default: `surrogate`. The two differ where the backward pass belongs to another map.
        """
        return self.surrogate(noise)

    def surrogate(self, noise: Numeric) -> Array:
        """The function that the backward pass differentiates. By default it is the relaxed value.

        For a distribution without gradient: the scores that `harden` maps to the value.
        """
        raise NotImplementedError

    def surrogate_from(self, origin: Any, noise: Numeric) -> Array:
        """`surrogate`, with all that the backward pass holds constant taken from `origin`.

        An example is noise that is drawn given the value. `origin` is the same distribution before
        a change of its parameters. Default: nothing is held constant.
        """
        return self.surrogate(noise)

    def harden(self, x: Numeric) -> Array:
        """The discrete value of a relaxed value."""
        raise NotImplementedError

    def discrete_pmf(self, x: Numeric) -> Array:
        """The probability of a discrete value."""
        raise NotImplementedError

    @property
    def chart(self) -> Chart:
        """Free coordinates on the support. Default: the coordinates of its domain."""
        return self.spec.relax.support

    def states(self) -> Array:
        """All values of a distribution on finitely many points: `(states, *batch, *event)`."""
        states = self.spec.relax.support.states(self.event_shape)
        singles = states.reshape(len(states), *(1,) * len(self.batch_shape), *self.event_shape)
        return np.broadcast_to(singles, (len(states), *self.batch_shape, *self.event_shape)).copy()

    def logpdf(self, x: Numeric, dtype: DTypeLike = np.float64) -> Array:
        """The log density with respect to the specification's base measure; -inf off the support.

        Only rounding can bring a coordinate to the edge of an open support. It then counts as the
        nearest number of `dtype` inside.
        """
        raise NotImplementedError

    def logpdf_from_noise(self, noise: Numeric) -> Array:
        """`logpdf(relax(noise))`, also where the value is rounded to the edge of the support."""
        return self.logpdf(self.relax(noise))

    def cdf(self, x: Numeric) -> Array:
        """The cumulative distribution function."""
        raise NotImplementedError

    def ppf(self, q: Numeric) -> Array:
        """The inverse of `cdf`."""
        raise NotImplementedError

    def mean(self) -> Array:
        """The mean."""
        raise NotImplementedError

    def var(self) -> Array:
        """The variance."""
        raise NotImplementedError

    def mode(self) -> Array:
        """The most likely value."""
        raise NotImplementedError

    def entropy(self) -> Array:
        """The entropy in nats."""
        raise NotImplementedError

    def over_batch(self, moment: Numeric, event_dim: int = 0) -> Array:
        """A moment that depends on some parameters only, repeated to the full batch shape."""
        event = np.shape(moment)[np.ndim(moment) - event_dim :]
        return np.broadcast_to(moment, (*self.batch_shape, *event)).copy()

    def _given(self) -> dict[str, Array]:
        """The parameters that are given, without counts."""
        names = [name for name in self.spec.parameters if name not in self.spec.counts]
        return {name: getattr(self, name) for name in names if getattr(self, name) is not None}


class BernoulliParameters:
    """`probs` and `logits` of Bernoulli variables, each computed from the other."""

    probs: Numeric
    logits: Numeric

    @property
    def pi(self) -> Array:
        """The probability of 1."""
        return np.asarray(expit(self.logits) if self.probs is None else self.probs)

    @property
    def log_odds(self) -> Array:
        """`logit(pi)`."""
        return np.asarray(logit(self.probs) if self.logits is None else self.logits)

    def discrete_pmf(self, x: Numeric) -> Array:
        zero_or_one = np.where(np.asarray(x) == 1, self.pi, expit(-self.log_odds))
        return np.where(np.isin(x, (0, 1)), zero_or_one, 0.0)


class CategoricalParameters:
    """`probs` and `logits` of categories, each computed from the other."""

    probs: Numeric
    logits: Numeric

    @property
    def pi(self) -> Array:
        """The probabilities, with a sum of 1."""
        return np.asarray(softmax(self.log_pi, axis=-1))

    @property
    def log_pi(self) -> Array:
        """The logarithms of the probabilities, up to a constant in each row."""
        with np.errstate(divide="ignore"):
            return np.asarray(np.log(self.probs) if self.logits is None else self.logits)

    def harden(self, x: Numeric) -> Array:
        return np.asarray(np.eye(np.shape(x)[-1])[np.argmax(x, axis=-1)])

    def discrete_pmf(self, x: Numeric) -> Array:
        return np.where(OneHot().contains(x), np.sum(self.pi * x, axis=-1), 0.0)


class CorrelatedParameters(BernoulliParameters):
    """`probs` or `logits` of Bernoulli variables, and the correlation matrix of their copula."""

    correlation_matrix: Numeric
    correlation_cholesky: Numeric

    @property
    def L(self) -> Array:  # noqa: N802
        """`chol(R)`."""
        if self.correlation_cholesky is None:
            return np.asarray(np.linalg.cholesky(self.correlation_matrix))
        return np.asarray(self.correlation_cholesky)

    @property
    def R(self) -> Array:  # noqa: N802
        """The correlation matrix."""
        return np.asarray(self.L @ np.swapaxes(self.L, -2, -1))

    def couple(self, noise: Numeric) -> Array:
        """`v = chol(R) eps`."""
        return np.asarray(self.L @ np.asarray(noise, dtype=np.float64)[..., None])[..., 0]

    def log_normal(self, v: Array) -> Array:
        """`log N(v; 0, R)`."""
        eps = np.linalg.solve(self.L, v[..., None])[..., 0]
        log_diagonal = np.log(np.diagonal(self.L, axis1=-2, axis2=-1))
        return np.asarray(np.sum(norm.logpdf(eps) - log_diagonal, axis=-1))
