"""Derivatives of the reference by finite differences, to compare backward passes with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from relaxit_reference.domains import (
    Array,
    Correlation,
    CorrelationCholesky,
    Domain,
    Independent,
    Interval,
    LogSimplex,
    LowerCholesky,
    Matrix,
    Positive,
    Simplex,
)
from relaxit_reference.spec import Spec


def direction(domain: Domain, value: Array, random: np.random.Generator) -> Array:
    """A tangent vector at `value` along which a small step stays in the domain."""
    z = random.normal(size=value.shape)
    if isinstance(domain, Independent):
        return direction(domain.of, value, random)
    if isinstance(domain, Matrix):
        return _direction_of_matrix(domain, value, z)
    if isinstance(domain, Positive):
        return np.asarray(value * z)
    if isinstance(domain, Interval):
        return np.asarray((value - domain.low) * (domain.high - value) * z)
    if isinstance(domain, Simplex):
        return np.asarray(value * (z - np.sum(value * z, axis=-1, keepdims=True)))
    if isinstance(domain, LogSimplex):
        return np.asarray(z - np.sum(np.exp(value) * z, axis=-1, keepdims=True))
    return np.where(np.isfinite(value), z, 0.0)


def _direction_of_matrix(domain: Matrix, value: Array, z: Array) -> Array:
    """A direction relative to the Cholesky factor: a step along it stays positive definite."""
    if isinstance(domain, LowerCholesky):
        return np.asarray(np.tril(z) * value)
    if isinstance(domain, CorrelationCholesky):
        z = np.tril(z) * np.diagonal(value, axis1=-2, axis2=-1)[..., None]
        return np.asarray(z - value * np.sum(value * z, axis=-1, keepdims=True))
    factor = np.linalg.cholesky(value)
    along = factor @ (z + np.swapaxes(z, -2, -1)) @ np.swapaxes(factor, -2, -1)
    if isinstance(domain, Correlation):
        change = np.diagonal(along, axis1=-2, axis2=-1) / 2
        along = along - value * (change[..., :, None] + change[..., None, :])
    return np.asarray(along)


def curve(
    domain: Domain, value: Array, random: np.random.Generator
) -> tuple[Callable[[Array], Array], Array]:
    """A curve in the domain that is `value` at 0, and its derivative there.

    The curve is straight except for rows of simplexes. There one row may be a function of another,
    so all rows move by the same exponential factors.
    """
    if not (isinstance(domain, Independent) and isinstance(domain.of, Simplex)):
        along = direction(domain, value, random)
        return lambda step: value + step * along, along
    z = random.normal(size=value.shape)[..., :1, :]

    def moved(step: Array) -> Array:
        weights = value * np.exp(step * z)
        return np.asarray(weights / np.sum(weights, axis=-1, keepdims=True))

    return moved, np.asarray(value * (z - np.sum(value * z, axis=-1, keepdims=True)))


def derivative(
    function: Callable[[Array], Array],
    value: Array,
    along: Array,
    step: float = 1e-4,
    terms: float = 0.0,
) -> tuple[float, float]:
    """The derivative of `sum(function)` at `value` in one direction, with a bound on its error.

    Central differences at `step` and `step / 2`, extrapolated (Richardson). The bound is the change
    by the extrapolation, plus the rounding of `function` divided by the step. At a kink, where the
    slopes of the two sides stay apart, their distance is added: any slope between them is right. At
    a jump, such as the edge of the support, the derivative is NaN.

    `terms` is the size of the terms that cancel in each entry of `function`. A log density of 0 may
    be a sum of large logarithms, whose rounding the result does not show.
    """
    here = function(value)

    def slopes(h: float) -> tuple[float, float]:
        ahead, behind = function(value + h * along), function(value - h * along)
        if not (np.all(np.isfinite(ahead)) and np.all(np.isfinite(behind))):
            return np.inf, -np.inf
        return float(np.sum(ahead - here)) / h, float(np.sum(here - behind)) / h

    coarse, fine = slopes(step), slopes(step / 2)
    if not np.all(np.isfinite([*coarse, *fine])):
        return np.nan, np.inf
    change = (sum(fine) - sum(coarse)) / 2
    rounding = 1e-14 * float(np.sum(np.abs(here) + terms)) / step
    distance = abs(fine[0] - fine[1])
    kink = distance if distance > 0.75 * abs(coarse[0] - coarse[1]) else 0.0
    return sum(fine) / 2 + change / 3, abs(change) + rounding + kink


def surrogate_pullback(
    spec: Spec, parameters: Mapping[str, Any], noise: Array, cotangent: Array, name: str
) -> Array:
    """`d sum(cotangent * surrogate(noise)) / d parameter`, one entry of the parameter at a time.

    The step is small: a sample of a map with jumps is unlikely to cross a jump.
    """
    step, base = 1e-8, np.asarray(parameters[name], dtype=np.float64)
    origin = spec.reference_class(**parameters, **spec.arguments)
    gradient = np.zeros_like(base)
    for entry in np.ndindex(base.shape):
        ends = []
        for sign in (1, -1):
            moved = base.copy()
            moved[entry] += sign * step
            distribution = spec.reference_class(**{**parameters, name: moved}, **spec.arguments)
            ends.append(np.sum(cotangent * distribution.surrogate_from(origin, noise)))
        gradient[entry] = (ends[0] - ends[1]) / (2 * step)
    return gradient
