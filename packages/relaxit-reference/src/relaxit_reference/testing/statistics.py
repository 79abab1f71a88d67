"""Integrals and goodness-of-fit tests, with the one rate of false alarms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from relaxit_reference.domains import Array

ALARM_RATE = 1e-6
"""The p-value below which a statistical test fails.

Seeds are fixed, so a correct implementation passes or fails once and for all. At some 10^3 tests
the chance that any of them had to be given another seed is 10^-3; a Kolmogorov-Smirnov distance
that large at n = 20,000 is 0.019, so that faults of two percent of probability are found.
"""

STEP = 0.15
"""Step of the trapezoidal rule in the chart. The densities are analytic there up to a distance of
pi / temperature from the real line, so the error is exp(-2 pi^2 / (temperature STEP)): 4e-12 at
temperature 5."""

REACH = 40.0
"""Half the width of the grid: at temperature 0.7 and logits within 3 the density has fallen to
exp(-0.7 * (40 - 3 / 0.7)) = 1e-11 of its peak."""


def total_mass(law: Any) -> Array:
    """The mass of `exp(logpdf)`, atoms included, for each batch element of `law`.

    `law` has `spec`, `logpdf`, `batch_shape` and `event_shape`, as reference distributions have.
    Events of at most two free coordinates.
    """
    support, batch = law.spec.relax.support, law.batch_shape
    if support.discrete:
        states = support.states(law.event_shape)
        return np.asarray(np.exp(law.logpdf(_before_batch(states, law))).sum(0))
    dimension = support.chart_dim(law.event_shape)
    if dimension > 2:
        raise ValueError(f"quadrature takes at most 2 coordinates, but got {dimension}")
    axis = np.arange(-REACH, REACH + STEP / 2, STEP)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    total = np.zeros(batch)
    for coordinates in np.array_split(grid, max(1, len(grid) // 50_000)):
        values = _before_batch(support.from_chart(coordinates), law)
        jacobian = support.log_jacobian(coordinates).reshape(-1, *(1,) * len(batch))
        total += np.exp(law.logpdf(values) + jacobian).sum(0)
    atoms = sum(np.exp(law.logpdf(np.full(batch, atom))) for atom in law.spec.density.atoms)
    return np.asarray(total * STEP**dimension + atoms)


def _before_batch(events: Array, law: Any) -> Array:
    """`(n, *event)` to `(n, *batch, *event)`."""
    singles = (1,) * len(law.batch_shape)
    shaped = events.reshape(len(events), *singles, *law.event_shape)
    return np.broadcast_to(shaped, (len(events), *law.batch_shape, *law.event_shape))


def kolmogorov_smirnov(sample: Array, cdf: Any) -> float:
    """The p-value of a sample against a CDF."""
    return float(stats.kstest(sample, cdf).pvalue)


def two_sample(first: Array, second: Array) -> float:
    """The p-value of two samples of one law: Kolmogorov-Smirnov."""
    return float(stats.ks_2samp(first, second).pvalue)


def chi_square(counts: NDArray[Any], probabilities: Array) -> float:
    """The p-value of counts against probabilities; cells below 5 expected counts are merged."""
    expected = np.asarray(probabilities) * np.sum(counts)
    small = expected < 5
    if small.any():
        counts = np.append(np.asarray(counts)[~small], np.asarray(counts)[small].sum())
        expected = np.append(expected[~small], expected[small].sum())
        if expected[-1] == 0:
            return 0.0 if counts[-1] else chi_square(counts[:-1], expected[:-1] / expected.sum())
    if len(expected) < 2:
        return 1.0
    return float(stats.chisquare(counts, expected * counts.sum() / expected.sum()).pvalue)


def projections(coordinates: Array, random: np.random.Generator, count: int = 4) -> Array:
    """One-dimensional views of `(n, d)` coordinates: each coordinate, then random directions."""
    dimension = coordinates.shape[-1]
    directions = random.normal(size=(count if dimension > 1 else 0, dimension))
    return np.concatenate([coordinates, coordinates @ directions.T], axis=-1)


CELL_EDGES = np.array([-40.0, -10.0, -4.0, -2.0, -1.0, 0.0, 1.0, 2.0, 4.0, 10.0, 40.0])
"""Cells of the chart, in each coordinate; Gauss-Legendre quadrature of 20 nodes in each."""


def law_against_density(sample: Array, law: Any) -> float:
    """The p-value of a sample against the density of `law`: chi-square over cells of the chart.

    Args:
        sample: `(n, *event_shape)`, of at most two free coordinates.
        law: a distribution of batch shape `()`.
    """
    support = law.spec.relax.support
    if support.discrete:
        states = support.states(law.event_shape)
        drawn = np.all(sample[:, None] == states, axis=tuple(range(2, sample.ndim + 1)))
        return chi_square(drawn.sum(0), np.exp(law.logpdf(states)))
    dimension = support.chart_dim(law.event_shape)
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(CELL_EDGES) / 2
    axis = (CELL_EDGES[:-1, None] + half[:, None] * (nodes + 1)).ravel()
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    log_density = law.logpdf(support.from_chart(grid)) + support.log_jacobian(grid)
    weight = (half[:, None] * weights).ravel()
    cell_weights = np.prod(np.meshgrid(*[weight] * dimension, indexing="ij"), axis=0).ravel()
    masses = (np.exp(log_density) * cell_weights).reshape((len(half), len(nodes)) * dimension)
    masses = masses.sum(tuple(range(1, 2 * dimension, 2)))
    counts, _ = np.histogramdd(support.to_chart(sample), bins=[CELL_EDGES] * dimension)
    outside = len(sample) - counts.sum()
    return chi_square(
        np.append(counts.ravel(), outside), np.append(masses.ravel(), max(0.0, 1 - masses.sum()))
    )
