"""How much of a difference rounding explains."""

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
"""Towards zero, so that no probability passes 1. Far above the rounding of float64, far below the
scale on which the maps curve, and small enough for a point of the simplex to be taken for one."""


def sensitivity(function: Callable[..., Array], inputs: Mapping[str, Any], spec: Spec) -> Array:
    """The sum over all input numbers `x` of `|x * d function / d x|`, by finite differences.

    `function` takes the inputs by name, as the parameters of `spec` and `noise` or `value`. Batch
    elements are perturbed together, the entries of one event one after the other.
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

    Sixteen rounded operations, each of the relative size that the condition number of the map
    turns an ulp of its inputs into. Below the smallest normal number no precision is relative.
    """
    limits = np.finfo(dtype)

    def relaxed(noise: Array, **parameters: Any) -> Array:
        law = spec.reference_class(**parameters, **spec.arguments)
        return np.asarray(law.relaxed(noise))

    inputs = {**parameters, "noise": noise}
    with np.errstate(invalid="ignore"):
        value = np.nan_to_num(np.abs(relaxed(**inputs)), posinf=0.0)
    return np.asarray(16 * limits.eps * (value + sensitivity(relaxed, inputs, spec)) + limits.tiny)


def noise_in_favour(law: Any, noise: Array, rows: Array, dtype: Any) -> tuple[Array, Array]:
    """Noise that chooses the one-hot `rows` where rounding decides, and by how much it is moved.

    Rows of categories jump where the scores of two are nearly equal, so that no tolerance of a row
    tells what the next one may be. Sixteen ulps of the terms of a score, once for each later row.
    """
    count = rows.shape[-2]
    log_pi = np.where(np.isfinite(law.log_pi), np.abs(law.log_pi), 0)
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
    """What rounding may do to a log density: 16 ulps of the largest sum of its terms.

    A log density adds, for each entry of an event, the coordinates of the value (logits or
    logarithms) once as they are and once times the temperature, and the logarithms of the
    parameters. These terms may cancel, so that neither the result nor its derivatives show them.
    A normal density of vectors is quadratic in its coordinates, and its matrix may be nearly
    singular: the derivatives show by how much its terms move more than that.
    """
    support, entries, coordinates = spec.relax.support, 1, np.zeros(())
    if not spec.discrete:
        inside = value if isinstance(support, Real | LogSimplex) else nearest_interior(value, dtype)
        law = spec.reference_class(**parameters, **spec.arguments)
        with np.errstate(invalid="ignore"):
            chart = np.nan_to_num(law.chart.to_chart(inside), posinf=0, neginf=0)
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
            law = spec.reference_class(**parameters, **spec.arguments)
            return np.nan_to_num(law.logpdf(value, dtype), neginf=0)

        rounding = rounding + sensitivity(of_parameters, parameters, spec)
    return np.asarray(16 * np.finfo(dtype).eps * rounding)


def log_prob_from_noise_tolerance(
    spec: Spec, parameters: Mapping[str, Any], noise: Array, dtype: Any
) -> Array:
    """The same for a log density that is computed from the noise.

    It adds the noise, once for each entry of an event, and functions of the scores, whose rounding
    is that of the inputs.
    """

    def log_prob(noise: Array, **parameters: Any) -> Array:
        law = spec.reference_class(**parameters, **spec.arguments)
        return np.asarray(law.logpdf_from_noise(noise))

    inputs = {**parameters, "noise": noise}
    axes = tuple(range(noise.ndim - len(spec.noise.shape), noise.ndim))
    terms = np.sum(np.abs(noise), axis=axes) * (1 + np.prod([noise.shape[a] for a in axes]))
    rounding = sensitivity(log_prob, inputs, spec)
    return np.asarray(
        16 * np.finfo(dtype).eps * (1 + np.abs(log_prob(**inputs)) + terms + rounding)
    )
