"""The differences that rounding explains."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from relaxit_reference.domains import (
    Array,
    Independent,
    Interval,
    LogSimplex,
    Positive,
    Real,
    Simplex,
    nearest_interior,
)
from relaxit_reference.spec import Spec

RELATIVE_STEP = -1e-7
"""The step of finite differences, relative to the input.

Negative, so that no probability exceeds 1. It is far larger than the rounding of float64 and far
smaller than the scale on which the maps curve; moved points of the simplex are still accepted.
"""


def sensitivity(function: Callable[..., Array], inputs: Mapping[str, Any], spec: Spec) -> Array:
    """The sum of `|x * d function / d x|` over all input numbers `x`, by finite differences.

    `function` takes the inputs by name: the parameters of `spec`, and `noise` or `value`. Each
    entry of an event is moved in turn, in all batch elements together.
    """
    base = function(**inputs)
    total = np.zeros_like(base)
    for name, value in inputs.items():
        x = np.asarray(value, dtype=np.float64)
        dimensions = {"noise": len(spec.noise.shape), "value": spec.event_dim}.get(name)
        if dimensions is None:
            dimensions = spec.parameters[name].domain.event_dim
        for entry in np.ndindex(x.shape[x.ndim - dimensions :]):
            moved = x.copy()
            moved[(..., *entry)] *= 1 + RELATIVE_STEP
            with np.errstate(invalid="ignore"):
                change = np.abs(function(**{**inputs, name: moved}) - base) / abs(RELATIVE_STEP)
            total = total + np.nan_to_num(change)
    return np.asarray(total)


def relax_tolerance(spec: Spec, parameters: Mapping[str, Any], noise: Array, dtype: Any) -> Array:
    """`16 eps (1 + condition number) |value|` plus the smallest normal number of `dtype`.

    This allows sixteen rounded operations. The condition number of the map says how much it
    enlarges a relative error of its inputs.
    """
    limits = np.finfo(dtype)

    def relaxed(noise: Array, **parameters: Any) -> Array:
        distribution = spec.reference_class(**parameters, **spec.arguments)
        return np.asarray(distribution.relaxed(noise))

    inputs = {**parameters, "noise": noise}
    with np.errstate(invalid="ignore"):
        value = np.nan_to_num(np.abs(relaxed(**inputs)), posinf=0.0)
    return np.asarray(16 * limits.eps * (value + sensitivity(relaxed, inputs, spec)) + limits.tiny)


def noise_in_favour(
    distribution: Any, noise: Array, rows: Array, dtype: Any
) -> tuple[Array, Array]:
    """Noise moved in favour of the one-hot `rows`, and the size of the move.

    Where two scores are nearly equal, rounding decides which category a row takes, and later rows
    jump with it. No tolerance of the rows allows for that. The moved noise makes the reference take
    the same categories. The move is sixteen ulps of the terms of a score for each later row.
    """
    count = rows.shape[-2]
    log_pi = np.where(np.isfinite(distribution.log_pi), np.abs(distribution.log_pi), 0)
    if noise.ndim == rows.ndim:
        log_pi, favour = log_pi[..., None, :], rows
    else:
        favour = np.sum(np.arange(count, 0, -1)[:, None] * rows, axis=-2)
    size = 1 + np.max(np.abs(noise), axis=-1, keepdims=True) + np.max(log_pi, -1, keepdims=True)
    move = 16 * float(np.finfo(dtype).eps) * size
    return noise + move * favour, count * move


def log_prob_tolerance(
    spec: Spec, parameters: Mapping[str, Any], value: Array, log_prob: Array, dtype: Any
) -> Array:
    """The error that rounding may cause in a log density: 16 ulps of the sum of its terms.

    For each entry of an event, a log density adds the coordinates of the value (logits or
    logarithms), the coordinates times the temperature, and the logarithms of the parameters. These
    terms may cancel, so neither the result nor its derivatives show their size. A normal density of
    vectors is quadratic in its coordinates, and its matrix may be nearly singular: for it the
    derivatives are added.
    """
    support, entries, coordinates = spec.relax.support, 1, np.zeros(())
    if not spec.discrete:
        inside = value if isinstance(support, Real | LogSimplex) else nearest_interior(value, dtype)
        distribution = spec.reference_class(**parameters, **spec.arguments)
        with np.errstate(invalid="ignore"):
            chart = np.nan_to_num(distribution.chart.to_chart(inside), posinf=0, neginf=0)
        coordinates, entries = np.sum(np.abs(chart), axis=-1), chart.shape[-1]
    size = 1 + (1 + np.asarray(parameters.get("temperature", 0.0))) * coordinates
    for name, parameter in parameters.items():
        domain = spec.parameters[name].domain
        axes = tuple(range(parameter.ndim - domain.event_dim, parameter.ndim))
        each = domain.of if isinstance(domain, Independent) else domain
        with np.errstate(divide="ignore"):
            in_logs = isinstance(each, Positive | Interval | Simplex)
            logs = np.abs(np.log(parameter) if in_logs else parameter)
        size = size + np.where(np.isfinite(logs), logs, 0).sum(axes)
    rounding = np.where(np.isfinite(log_prob), np.abs(log_prob), 0) + entries * size
    if spec.noise.distribution == "normal" and spec.event_dim:

        def of_parameters(**parameters: Any) -> Array:
            distribution = spec.reference_class(**parameters, **spec.arguments)
            return np.nan_to_num(distribution.logpdf(value, dtype), neginf=0)

        rounding = rounding + sensitivity(of_parameters, parameters, spec)
    return np.asarray(16 * np.finfo(dtype).eps * rounding)


def log_prob_from_noise_tolerance(
    spec: Spec, parameters: Mapping[str, Any], noise: Array, dtype: Any
) -> Array:
    """The error that rounding may cause in a log density computed from the noise.

    Such a density adds the noise once for each entry of an event, and functions of the scores. The
    error of the scores comes from the rounding of the inputs.
    """

    def log_prob(noise: Array, **parameters: Any) -> Array:
        distribution = spec.reference_class(**parameters, **spec.arguments)
        return np.asarray(distribution.logpdf_from_noise(noise))

    inputs = {**parameters, "noise": noise}
    axes = tuple(range(noise.ndim - len(spec.noise.shape), noise.ndim))
    terms = np.sum(np.abs(noise), axis=axes) * (1 + np.prod([noise.shape[a] for a in axes]))
    rounding = sensitivity(log_prob, inputs, spec)
    return np.asarray(
        16 * np.finfo(dtype).eps * (1 + np.abs(log_prob(**inputs)) + terms + rounding)
    )
