"""The checks of the `[[properties]]` of a specification, one for each kind.

An implementation is given as two functions. `make(parameters)` returns an object with the methods
of a reference distribution. `pullback(parameters, noise, cotangent, name)` returns the derivative
of `sum(cotangent * relax(noise))` with respect to a parameter, from the backward pass.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
from scipy.special import expit

from relaxit_reference.comparison.draws import Ranges, random_parameters
from relaxit_reference.comparison.quadrature import total_mass
from relaxit_reference.domains import Array, LogSimplex, Real
from relaxit_reference.spec import Property, Spec

Make = Callable[[Mapping[str, Any]], Any]
Pullback = Callable[[Mapping[str, Any], Array, Array, str], Array]
Objective = Callable[[Array], tuple[Array, Array]]
"""A function of flat values, `(samples, entries)`, and its derivative."""

SAMPLES = 20_000
CHUNKS = 10
ALARM_DEVIATION = 11.0
"""Student's t with 9 degrees of freedom exceeds this with probability 1e-6, the alarm rate."""

ROUNDING = 1e-6
"""The relative error of a true gradient by central differences."""


def check_property(claim: Property, spec: Spec, make: Make, pullback: Pullback) -> None:
    """Checks that an implementation has a property.

    Raises:
        AssertionError: it does not; the message has the numbers.
    """
    CHECKS[claim.kind](claim, spec, make, pullback)


def _parameters(
    spec: Spec, fixed: Mapping[str, float] | None = None, *, ranges: Ranges | None = None
) -> dict[str, Array]:
    ranges = {**(ranges or {}), "logits": (-2.0, 2.0), "temperature": (0.5, 2.0)}
    drawn = random_parameters(spec, np.random.default_rng(11), ranges=ranges)
    return {**drawn, **{name: np.asarray(value) for name, value in (fixed or {}).items()}}


def _limit(claim: Property, spec: Spec, make: Make, pullback: Pullback) -> None:
    """Values come arbitrarily close to discrete values, or to the centre of the support."""
    name = claim.parameter or "temperature"
    towards = (1.0, 0.1, 0.01) if claim.to == "zero" else (10.0, 100.0, 10_000.0)
    distances = []
    for value in towards:
        limiting = make(_parameters(spec, {name: value}))
        sample = limiting.rvs(SAMPLES, 3)
        if claim.expected == "discrete":
            goal = limiting.harden(sample)
        else:
            chart = spec.relax.support
            goal = chart.from_chart(np.zeros(chart.chart_dim(sample.shape[1:])))
        distances.append(float(np.abs(sample - goal).mean()))
    # The mean distance is of the order of the temperature, or of its inverse, because the noise
    # has a bounded density and moments.
    bound = 2 * min(towards[-1], 1 / towards[-1])
    reached = bool(np.all(np.diff(distances) <= 0)) and distances[-1] <= bound
    assert reached, (
        f"as {name} goes to {claim.to}, the mean distance to {claim.expected} values must fall "
        f"below {bound:g}, but at {name} = {towards} it is {distances}"
    )


def _same_density(first: Any, second: Any, x: Array, image: Array, statement: str) -> None:
    np.testing.assert_allclose(
        second.logpdf(image), first.logpdf(x), rtol=1e-11, atol=1e-11, err_msg=statement
    )


def _symmetry(claim: Property, spec: Spec, make: Make, pullback: Pullback) -> None:
    """The image of a value has the distribution with the image of a parameter."""
    parameters, name = _parameters(spec), claim.parameter or "logits"
    original = make(parameters)
    x = original.rvs(50, 4)
    if claim.map == "permutation":
        order = np.roll(np.arange(parameters[name].shape[-1]), 1)
        image, mapped = x[..., order], parameters[name][..., order]
    else:
        image = -x if claim.map == "negation" else 1 - x
        mapped = (1.0 if claim.map == "reflection" else 0.0) - parameters[name]
    statement = f"{claim.map} of a value and of {name} must not change the density"
    _same_density(original, make({**parameters, name: mapped}), x, image, statement)


def _invariance(claim: Property, spec: Spec, make: Make, pullback: Pullback) -> None:
    """Adding a constant to a parameter changes neither density nor map."""
    parameters, name = _parameters(spec), claim.parameter or "logits"
    original, shifted = make(parameters), make({**parameters, name: parameters[name] + 3.0})
    x, noise = original.rvs(50, 5), original.noise(50, 6)
    _same_density(original, shifted, x, x, f"adding 3 to {name} must not change the density")
    np.testing.assert_allclose(shifted.relax(noise), original.relax(noise), rtol=1e-11, atol=1e-13)


def _gradient_bias(claim: Property, spec: Spec, make: Make, pullback: Pullback) -> None:
    """Compares the mean gradient of the backward pass with the gradient of the discrete E f.

    The discrete E f is a sum over all states. What is expected depends on f:

    - For a quadratic f, the bias of every relaxation of one variable vanishes with the temperature.
    - A straight-through gradient of a relaxed value averages f' at both ends of a jump. This is
      exact for a quadratic f; a cubic f shows the bias that remains.
    - A straight-through gradient of a probability is exact only for a linear f.
    - A gradient that passes only through a smooth factor is not exact for any f.
    - Rows that jump where an earlier row jumps keep a bias for every f, except the first row.

    A distribution that relaxes nothing discrete is compared with its own E f, by quadrature.
    """
    # Moderate, because a choice that is nearly certain has nearly no gradient.
    parameters = _parameters(spec, ranges=spec.moderate)
    varied = claim.parameter or "temperature"
    values = (0.2, 1.0, 10.0) if claim.to == "infinity" else (2.0, 0.5, 0.1)
    settings = [{varied: np.asarray(value)} for value in values if varied in parameters] or [{}]
    if "backward_temperature" in parameters:  # follows the other temperature, and differs
        settings = [{**each, "backward_temperature": each[varied] / 2} for each in settings]
    names = ["logits"] if "logits" in parameters else sorted({*parameters} - {varied})
    names = [name for name in names if spec.parameters[name].domain.event_dim < 2]
    true_gradient = _integrated_gradient if claim.expected == "unbiased" else _enumerated_gradient
    for f, expected in _objectives(make(parameters).event_shape)[claim.expected or ""]:
        errors, noise = [], 0.0
        for setting in settings:
            at = {**parameters, **setting}
            subject, estimates = make(at), []
            for seed in range(CHUNKS):
                drawn = subject.noise(SAMPLES, seed)
                value = subject.relax(drawn)
                read, slope_of_reading = _read(spec, value)
                slope = f(read.reshape(SAMPLES, -1))[1].reshape(value.shape) * slope_of_reading
                estimates.append(
                    _joined(pullback(at, drawn, slope / SAMPLES, name) for name in names)
                )
            exact = _joined(true_gradient(spec, at, f, name) for name in names)
            size = float(np.linalg.norm(exact))
            goal = exact / 2 if expected == "it is half of the truth" else exact
            errors.append(float(np.linalg.norm(np.mean(estimates, axis=0) - goal)) / size)
            deviation = np.std(estimates, axis=0, ddof=1) / np.sqrt(CHUNKS)
            noise = ALARM_DEVIATION * float(np.linalg.norm(deviation)) / size + ROUNDING
        if expected == "its bias remains":
            holds = errors[-1] > noise
        elif expected == "its bias vanishes":
            # Less than half of the error at any other setting. From temperature 2 to 0.5 the error
            # need not fall: a high temperature makes the gradient itself vanish.
            holds = errors[-1] < max(min(errors[:-1], default=0.0) / 2, noise)
        else:
            holds = max(errors) < noise < 0.1  # the check sees errors above 0.1 of the gradient
        assert holds, (
            f"the gradient of a {f.__name__} function must be such that {expected}, but at "
            f"{settings} the relative errors are {errors}, the last with a noise of {noise:g}"
        )


def _objectives(shape: tuple[int, ...]) -> dict[str, list[tuple[Objective, str]]]:
    """For each word of a specification: functions, and what it claims of their gradients."""
    random, size = np.random.default_rng(12), int(np.prod(shape))
    matrix, vector = random.normal(size=(size, size)), random.normal(size=size)
    first = np.arange(size) < size // shape[0] if shape else np.ones(1)

    def linear(flat: Array) -> tuple[Array, Array]:
        return flat @ vector, np.broadcast_to(vector, flat.shape)

    def quadratic(flat: Array) -> tuple[Array, Array]:
        value = np.sum((flat @ matrix) * flat, axis=-1) + flat @ vector
        return value, flat @ (matrix + matrix.T) + vector

    def cubic(flat: Array) -> tuple[Array, Array]:
        return flat**3 @ vector, 3 * flat**2 * vector

    def of_first_row(f: Objective) -> Objective:
        def of_first_row(flat: Array) -> tuple[Array, Array]:
            value, slope = f(flat * first)
            return value, slope * first

        return of_first_row

    return {
        "vanishes": [(quadratic, "its bias vanishes"), (cubic, "its bias vanishes")],
        "remains": [(quadratic, "its bias vanishes"), (cubic, "its bias remains")],
        "vanishes_in_the_first_row": [
            (of_first_row(quadratic), "its bias vanishes"),
            (of_first_row(cubic), "its bias vanishes"),
            (quadratic, "its bias remains"),
        ],
        "remains_in_every_row": [
            (of_first_row(quadratic), "its bias vanishes"),
            (of_first_row(cubic), "its bias remains"),
            (quadratic, "its bias remains"),
        ],
        "remains_unless_linear": [(linear, "it has no bias"), (quadratic, "its bias remains")],
        "halves_the_linear": [
            (linear, "it is half of the truth"),
            (quadratic, "its bias remains"),
        ],
        "unbiased": [(quadratic, "it has no bias"), (cubic, "it has no bias")],
    }


def _read(spec: Spec, value: Array) -> tuple[Array, Array]:
    """A value as a decoder reads it, near the discrete values, and its derivative."""
    if isinstance(spec.relax.support, LogSimplex):
        return np.exp(value), np.exp(value)
    if isinstance(spec.relax.support, Real):
        return expit(value), expit(value) * expit(-value)
    return value, np.ones_like(value)


def _joined(gradients: Iterable[Array]) -> Array:
    return np.concatenate([np.ravel(gradient) for gradient in gradients])


def _enumerated_gradient(
    spec: Spec, parameters: Mapping[str, Any], f: Objective, name: str
) -> Array:
    """`d/d parameter sum_b P(b) f(b)` over all states of the discrete variable."""

    def mean(distribution: Any) -> float:
        states = np.array([0.0, 1.0])  # a bit with the same mean, if no map to it is defined
        if spec.harden:
            states = np.unique(
                distribution.harden(distribution.relax(distribution.noise(SAMPLES, 0))), axis=0
            )
        return float(
            np.sum(distribution.discrete_pmf(states) * f(states.reshape(len(states), -1))[0])
        )

    return _central_differences(spec, parameters, mean, name, step=1e-5)


def _integrated_gradient(
    spec: Spec, parameters: Mapping[str, Any], f: Objective, name: str
) -> Array:
    """`d/d parameter` of the integral of `p(c) f(c)`."""
    above = 100.0  # f + 100 is positive and has a logarithm; the integral of p is constant

    def mean(distribution: Any) -> float:
        def log_integrand(c: Array) -> Array:
            return np.asarray(distribution.logpdf(c) + np.log(f(c.reshape(len(c), -1))[0] + above))

        return float(total_mass(distribution, log_integrand))

    # The rounding of the integral, 1e-13, divided by the step is as small as the step squared.
    return _central_differences(spec, parameters, mean, name, step=1e-4)


def _central_differences(
    spec: Spec,
    parameters: Mapping[str, Any],
    mean: Callable[[Any], float],
    name: str,
    *,
    step: float,
) -> Array:
    value = np.asarray(parameters[name])
    gradient = np.zeros_like(value)
    for entry in np.ndindex(value.shape):
        ends = []
        for sign in (1, -1):
            moved = value.copy()
            moved[entry] += sign * step
            ends.append(mean(spec.reference_class(**{**parameters, name: moved}, **spec.arguments)))
        gradient[entry] = (ends[0] - ends[1]) / (2 * step)
    return gradient


CHECKS: dict[str, Callable[[Property, Spec, Make, Pullback], None]] = {
    "limit": _limit,
    "symmetry": _symmetry,
    "invariance": _invariance,
    "gradient_bias": _gradient_bias,
}
