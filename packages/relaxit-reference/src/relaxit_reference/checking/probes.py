"""The inputs for an examination, and each function of a candidate beside the reference."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.comparison.draws import NOISE_RANGE, place_parameters
from relaxit_reference.comparison.messages import reproduction
from relaxit_reference.comparison.rounding import log_prob_tolerance, relax_tolerance
from relaxit_reference.domains import (
    Array,
    CategoryLogits,
    Interval,
    LogSimplex,
    Positive,
    Real,
    Simplex,
)
from relaxit_reference.spec import Spec

SAMPLES = 24

BATCH = 3

UNIT = (0.05, 0.95)

FAR = (-600.0, 30.0)
"""Coordinates of the most extreme values: exp(-600) is not 0, and 1 - exp(-30) is not 1."""

RARE = (-60.0, 13.0)
"""Coordinates of the most extreme probabilities."""

Parameters = Mapping[str, Array]


@dataclass(frozen=True)
class Probe:
    """One input: parameters, with noise and values of shape `(samples, *batch, *event)`.

    The regions are

    - unit: noise and real parameters lie in (0, 1), so that each is valid in place of another;
    - moderate: nothing is extreme, and the values are samples;
    - typical: parameters in their typical ranges, with equal entries in one batch element;
    - impossible: moderate, but some categories are never chosen, some values choose them, and some
      values mix the rows of two samples;
    - extreme: probabilities and values far outside their typical ranges;
    - low: typical, with positive numbers such as the temperature at their lower ends;
    - edge: values that rounding has moved to an end of the support.
    """

    region: str
    parameters: Parameters
    noise: Array
    value: Array

    def element(self, spec: Spec, index: tuple[int, ...]) -> dict[str, Array]:
        """The parameters at the index `(sample, *batch)`."""
        chosen, batch = {}, reference(spec, self.parameters).batch_shape
        for name, value in self.parameters.items():
            event = value.shape[value.ndim - spec.parameters[name].domain.event_dim :]
            chosen[name] = np.broadcast_to(value, (*batch, *event))[index[1:]]
        return chosen


def reference(spec: Spec, parameters: Mapping[str, Any]) -> Any:
    """The reference distribution of a specification."""
    return spec.reference_class(**parameters, **spec.arguments)


def has_chart(distribution: Any) -> bool:
    """Whether the support has free coordinates."""
    try:
        distribution.chart.from_chart(
            np.zeros(distribution.chart.chart_dim(distribution.event_shape))
        )
    except NotImplementedError:
        return False
    return True


def probes(spec: Spec, seed: int) -> list[Probe]:
    """Inputs of every region, for each way to give the parameters."""
    random = np.random.default_rng(seed)
    regions = ["unit", "moderate", *["typical"] * 2, "impossible", *["extreme"] * 2, "edge"]
    if not any(isinstance(p.domain, CategoryLogits | Simplex) for p in spec.parameters.values()):
        regions.remove("impossible")
    if any(isinstance(p.domain, Positive) for p in spec.parameters.values()):
        regions.append("low")
    found = []
    for names in spec.parameterisations():
        for place, region in enumerate(regions):
            # With three categories in three batch elements a missing event dimension would go
            # unnoticed. Other numbers tell the dimensions apart.
            sizes = sorted(spec.sizes)
            counts = [sizes[-2:][place % 2]]
            if spec.event_dim and region == "unit":
                # Unusual numbers of categories, where any number is allowed.
                counts = sizes + [4, 7] * (max(sizes) >= 4)
            for count in counts:
                first = ((BATCH,), (), (2, 1))[(place + count) % 3]
                probe = _probe(spec, region, names, count, first, random)
                if len(probe.value):
                    found.append(probe)
    return found


def _probe(
    spec: Spec,
    region: str,
    names: tuple[str, ...],
    count: int,
    first: tuple[int, ...],
    random: np.random.Generator,
) -> Probe:
    def draw_unit(shape: tuple[int, ...]) -> Array:
        drawn = random.random(shape)
        if len(shape) > 1 and shape[0] == BATCH:  # entries of events
            if region == "typical":
                drawn[0] = 0.5
            elif region == "impossible":
                drawn[1, ..., 0] = 0
                drawn[2, ..., 1:] = 0
        return drawn

    shapes = {name: first if name == names[0] else (BATCH,) for name in names}
    ranges = {} if region in ("typical", "extreme", "low") else _moderate(spec, region)
    if region == "low":
        positive = {n: p for n, p in spec.parameters.items() if isinstance(p.domain, Positive)}
        ranges = {n: (p.typical[0], p.typical[0]) for n, p in positive.items() if p.typical}
    parameters = place_parameters(spec, names, shapes, count, ranges, np.float64, draw_unit)
    if region == "extreme":
        for name, value in parameters.items():
            domain = spec.parameters[name].domain
            if isinstance(domain, Simplex) or domain == Interval(0.0, 1.0, (False, False)):
                free = (*value.shape, 1) if not domain.event_dim else (*shapes[name], count - 1)
                parameters[name] = domain.from_chart(random.uniform(*RARE, size=free))
    distribution = reference(spec, parameters)
    noise = distribution.noise(SAMPLES, random)
    low, high = NOISE_RANGE[spec.noise.distribution]
    if region == "unit":
        noise = random.uniform(*UNIT, size=noise.shape)
    elif region == "typical":
        noise[::2] = random.uniform(low, high, size=noise[::2].shape)
    return Probe(region, parameters, noise, _values(spec, region, distribution, noise, random))


def _moderate(spec: Spec, region: str) -> dict[str, tuple[float, float]]:
    ranges = spec.moderate
    for name, parameter in spec.parameters.items():
        if region == "unit" and isinstance(parameter.domain, Real | CategoryLogits):
            ranges[name] = UNIT
        if region == "impossible" and isinstance(parameter.domain, Simplex):
            ranges[name] = (0.0, 1.0)
    return ranges


def _values(
    spec: Spec, region: str, distribution: Any, noise: Array, random: np.random.Generator
) -> Array:
    support = spec.relax.support
    if region == "edge" and spec.event_dim > 1 and not spec.discrete:
        return np.asarray(distribution.harden(distribution.relax(noise)))
    if region == "edge":
        ends = [
            np.asarray(end, dtype=np.float64)
            for end in support.end_points(
                distribution.event_shape[-1] if distribution.event_shape else 1
            )
        ]
        ends = [
            end
            for end in ends
            if np.all(np.isfinite(end)) and end.shape == distribution.event_shape
        ]
        single = (1,) * len(distribution.batch_shape)
        events = np.array(ends).reshape(len(ends), *single, *distribution.event_shape)
        return np.broadcast_to(
            events, (len(ends), *distribution.batch_shape, *distribution.event_shape)
        )
    values = _inner_values(spec, region, distribution, noise, random)
    if region != "moderate":  # its samples have point masses among them
        for place, atom in enumerate(spec.density.atoms):
            values[place :: 3 * len(spec.density.atoms)] = atom
    return values


def _inner_values(
    spec: Spec, region: str, distribution: Any, noise: Array, random: np.random.Generator
) -> Array:
    chart = distribution.chart
    if spec.discrete:
        return np.asarray(
            np.resize(
                distribution.states(),
                (SAMPLES, *distribution.batch_shape, *distribution.event_shape),
            )
        )
    sampled = np.asarray(distribution.relax(noise))
    if region == "moderate" or not has_chart(distribution):
        return sampled
    shape = (SAMPLES, *distribution.batch_shape, chart.chart_dim(distribution.event_shape))
    if region == "impossible":
        sampled[::2] = chart.from_chart(random.normal(size=shape))[::2]
        if spec.event_dim > 1:
            sampled[:8, ..., 1:, :] = sampled[8:16, ..., 1:, :]
        return sampled
    if region == "unit":
        return chart.from_chart(random.normal(scale=2.0, size=shape))
    low, high = FAR if region == "extreme" else (-15.0, 15.0)
    return chart.from_chart(random.uniform(low, high, size=shape))


class CandidateError(Exception):
    """An exception of the candidate, with a script that shows the truth."""

    def __init__(self, message: str, reproduction: str) -> None:
        super().__init__(message)
        self.message, self.reproduction = message, reproduction


@dataclass(frozen=True)
class Half:
    """One of the two functions of a candidate, with the same function of the reference."""

    spec: Spec
    name: Literal["relax", "log_prob"]
    function: Callable[..., Any]

    @property
    def given(self) -> str:
        """The name of the argument beside the parameters."""
        return "noise" if self.name == "relax" else "value"

    @property
    def call(self) -> str:
        """The name of the reference's method."""
        return "relax" if self.name == "relax" else "logpdf"

    @property
    def discrete(self) -> bool:
        """Whether the answers are discrete values."""
        return self.name == "relax" and self.spec.relax.support.discrete

    def argument(self, probe: Probe) -> Array:
        """The noise or the value of a probe."""
        return probe.noise if self.name == "relax" else probe.value

    def answer(self, argument: Array, parameters: Parameters) -> Array:
        """What the candidate returns for copies of the arguments.

        Raises:
            CandidateError: the candidate raised, or returned no array of real numbers.
        """
        copies = {name: value.copy() for name, value in parameters.items()}
        try:
            result = self.function(argument.copy(), **copies)
            if np.iscomplexobj(result):
                raise TypeError("expected real numbers, but got complex numbers")
            return np.array(result, dtype=np.float64)
        except Exception as error:
            shapes = {name: np.shape(x) for name, x in {**parameters, self.given: argument}.items()}
            given = ", ".join(f"{name} of shape {shape}" for name, shape in shapes.items())
            raise CandidateError(
                f"It raised {type(error).__name__}: {error}\nIt was given {given}.",
                reproduction(self.spec, parameters, self.call, argument[:1]),
            ) from error

    def truth(
        self, argument: Array, parameters: Mapping[str, Any], spec: Spec | None = None
    ) -> Array:
        """What the reference returns."""
        return np.asarray(getattr(reference(spec or self.spec, parameters), self.call)(argument))

    def any_of_event(self, flags: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Whether any flag of each event is set, `(samples, *batch)`."""
        events = self.spec.event_dim if self.name == "relax" else 0
        return np.asarray(np.any(flags, axis=tuple(range(flags.ndim - events, flags.ndim))))

    def differs(self, answer: Array, probe: Probe) -> NDArray[np.bool_]:
        """Where rounding does not explain the error of an answer, `(samples, *batch)`."""
        truth = self.truth(self.argument(probe), probe.parameters)
        if self.name == "relax":
            tolerance = self._relax_tolerance(probe)
            if self.discrete:
                return self._hardened_from_elsewhere(answer, truth, tolerance, probe)
        else:
            tolerance = log_prob_tolerance(
                self.spec, probe.parameters, probe.value, truth, np.float64
            )
        return self.any_of_event(~((answer == truth) | (np.abs(answer - truth) <= tolerance)))

    def _relax_tolerance(self, probe: Probe) -> Array:
        tolerance = relax_tolerance(self.spec, probe.parameters, probe.noise, np.float64)
        if isinstance(self.spec.relax.support, LogSimplex):
            # One normaliser is subtracted from all entries: each has the error of the worst.
            return np.asarray(tolerance.max(axis=-1, keepdims=True))
        return tolerance

    def _hardened_from_elsewhere(
        self, answer: Array, truth: Array, tolerance: Array, probe: Probe
    ) -> NDArray[np.bool_]:
        """Where no relaxed value within the tolerance hardens to the answer."""
        distribution = reference(self.spec, probe.parameters)
        soft = distribution.relaxed(probe.noise)
        in_favour = distribution.harden(np.where(answer == 1, soft + tolerance, soft - tolerance))
        return self.any_of_event((answer != truth) & (answer != in_favour))


Answers = list[tuple[Probe, Array]]
