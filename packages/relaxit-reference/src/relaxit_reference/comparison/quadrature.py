"""Integrals of densities."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from relaxit_reference.domains import Array

LogDensity = Callable[[Array], Array]

SETTLED = 1e-5
"""The step of the trapezoidal rule is halved until the integral changes by less than this.

The error for an analytic density is at most `exp(-c / step)`, so half the step squares it: a change
of 1e-5 leaves an error of 1e-10.
"""

FINEST = 1 / 32
"""The smallest step of the trapezoidal rule. A wrong density, which is not analytic, reaches it."""

REACH = 36.0
"""Half the width of the grid, in coordinates times the temperature.

With logits within 3, a density with exponential tails falls to `exp(-(36 - 3)) = 5e-15` of its
peak.
"""

DIMENSIONS = 3
"""The largest number of free coordinates over which a density is integrated."""

PANELS = 1_000
"""The number of Gauss-Legendre panels between two point masses, with 20 nodes each.

A normal density with a standard deviation of 0.01, ten panels wide, is integrated to rounding.
"""


def total_mass(distribution: Any, logpdf: LogDensity | None = None) -> Array:
    """The integral of `exp(logpdf)`, point masses included, `(*batch)`.

    Args:
        distribution: a reference distribution with at most three free coordinates in an event.
        logpdf: an implementation's log density of this distribution. Default: the distribution's
            own.

    Raises:
        ValueError: an event has more than three free coordinates.
    """
    logpdf = distribution.logpdf if logpdf is None else logpdf
    support, batch = distribution.spec.relax.support, distribution.batch_shape
    if distribution.spec.discrete:
        return np.asarray(np.exp(logpdf(distribution.states())).sum(0))
    if distribution.spec.density.kind == "mixed":
        nodes, weights = gauss_legendre(np.linspace(support.low, support.high, PANELS + 1))
        weights = weights.reshape(-1, *(1,) * len(batch))
        between = np.sum(np.exp(logpdf(_over_batch(nodes, distribution))) * weights, axis=0)
        atoms = [np.exp(logpdf(np.full(batch, atom))) for atom in distribution.spec.density.atoms]
        return np.asarray(between + sum(atoms))
    dimension = distribution.chart.chart_dim(distribution.event_shape)
    if dimension > DIMENSIONS:
        raise ValueError(f"quadrature takes at most {DIMENSIONS} coordinates, but got {dimension}")
    step, mass, change = 1.0, _trapezoid(distribution, logpdf, 1.0), np.inf
    while change > SETTLED and step > FINEST:
        step /= 2
        finer = _trapezoid(distribution, logpdf, step)
        mass, change = finer, float(np.max(np.abs(finer - mass)))
    return mass


def gauss_legendre(edges: Array) -> tuple[Array, Array]:
    """Nodes and weights of 20-point rules on the panels between `edges`, one after the other."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (nodes + 1)).ravel(), (half * weights).ravel()


def _trapezoid(distribution: Any, logpdf: LogDensity, step: float) -> Array:
    """The integral over the chart, on a grid whose width is divided by the temperature.

    A relaxed distribution is as wide there as its noise divided by the temperature.
    """
    batch = distribution.batch_shape
    dimension = distribution.chart.chart_dim(distribution.event_shape)
    width = 1 / np.broadcast_to(getattr(distribution, "temperature", 1.0), batch)[..., None]
    axis = np.arange(-REACH, REACH + step / 2, step)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    total = np.zeros(batch)
    for part in np.array_split(grid, max(1, len(grid) // 50_000)):
        coordinates = part.reshape(-1, *(1,) * len(batch), dimension) * width
        log_density = logpdf(distribution.chart.from_chart(coordinates))
        total += np.exp(log_density + distribution.chart.log_jacobian(coordinates)).sum(0)
    return np.asarray(total * (step * width[..., 0]) ** dimension)


def _over_batch(events: Array, distribution: Any) -> Array:
    """`(n, *event)` repeated to `(n, *batch, *event)`."""
    batch, event = distribution.batch_shape, distribution.event_shape
    shaped = events.reshape(len(events), *(1,) * len(batch), *event)
    return np.broadcast_to(shaped, (len(events), *batch, *event))
