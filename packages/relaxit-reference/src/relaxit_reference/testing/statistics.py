"""Goodness-of-fit tests, all with the same rate of false alarms."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from relaxit_reference.comparison.quadrature import PANELS, gauss_legendre
from relaxit_reference.domains import Array

ALARM_RATE = 1e-6
"""A statistical test fails if its p-value is below this number.

Seeds are fixed, so the outcome for a correct implementation never changes. With about 1,000 tests,
the probability that any of them needed another seed is 0.001. For 20,000 samples the
Kolmogorov-Smirnov distance at this p-value is 0.019, so the tests find errors of 2 % of the
probability.
"""


def kolmogorov_smirnov(sample: Array, cdf: Any) -> float:
    """The p-value of a sample against a CDF."""
    return float(stats.kstest(sample, cdf).pvalue)


def two_sample(first: Array, second: Array) -> float:
    """The p-value of the Kolmogorov-Smirnov test that two samples have the same distribution."""
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
"""The edges of the cells in each coordinate of the chart."""

ATOM_CELLS = np.linspace(0, 1, 11)
"""The edges of the cells between two point masses, as fractions of their distance."""


def sample_against_density(sample: Array, distribution: Any) -> float:
    """The p-value of a sample against the density of `distribution`.

    A chi-square test over cells and point masses. Cells in more than two free coordinates are too
    many; there it is a test of likelihood ratios.

    Args:
        sample: `(n, *event_shape)`.
        distribution: a reference distribution of batch shape `()`.
    """
    support = distribution.spec.relax.support
    if distribution.spec.discrete:
        points = distribution.states()
        return chi_square(_counts(sample, points), np.exp(distribution.logpdf(points)))
    if distribution.spec.density.kind == "mixed":
        points = np.asarray(distribution.spec.density.atoms)
        edges = support.low + (support.high - support.low) * ATOM_CELLS
        nodes, weights = gauss_legendre(np.linspace(support.low, support.high, PANELS + 1))
        masses = np.exp(distribution.logpdf(nodes)) * weights
        cells = np.add.reduceat(masses, np.arange(0, len(masses), len(masses) // 10))
        between = sample[~np.isin(sample, points)]
        counts = np.append(_counts(sample, points), np.histogram(between, edges)[0])
        return chi_square(counts, np.append(np.exp(distribution.logpdf(points)), cells))
    chart = distribution.chart
    dimension = chart.chart_dim(distribution.event_shape)
    if dimension > 2:
        return _likelihood_ratios(chart.to_chart(sample), distribution)
    axis, weight = gauss_legendre(CELL_EDGES)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    cell_weights = np.prod(np.meshgrid(*[weight] * dimension, indexing="ij"), axis=0).ravel()
    log_density = distribution.logpdf(chart.from_chart(grid)) + chart.log_jacobian(grid)
    masses = np.exp(log_density) * cell_weights
    masses = masses.reshape((len(CELL_EDGES) - 1, 20) * dimension)
    masses = masses.sum(tuple(range(1, 2 * dimension, 2)))
    counts, _ = np.histogramdd(chart.to_chart(sample), bins=[CELL_EDGES] * dimension)
    outside = len(sample) - counts.sum()
    return chi_square(
        np.append(counts.ravel(), outside), np.append(masses.ravel(), max(0.0, 1 - masses.sum()))
    )


CENTRES = 10
"""The number of normal densities that a sample is weighed with, each around one of its points."""


def _likelihood_ratios(coordinates: Array, distribution: Any) -> float:
    """The p-value of `E[q(x) / p(x)] = 1`, for the density `p` and normal densities `q`.

    The normal densities are half as wide as the sample, so that the ratios have all moments.
    """
    rest, width = coordinates[CENTRES:], coordinates.std(0) / 2
    chart = distribution.chart
    log_p = distribution.logpdf(chart.from_chart(rest)) + chart.log_jacobian(rest)
    p_values = []
    for centre in coordinates[:CENTRES]:
        log_q = np.sum(stats.norm.logpdf(rest, centre, width), axis=-1)
        ratios = np.exp(log_q - log_p)
        deviate = (np.mean(ratios) - 1) / (np.std(ratios) / np.sqrt(len(ratios)))
        p_values.append(2 * stats.norm.sf(abs(deviate)))
    return float(min(1.0, CENTRES * min(p_values)))


def _counts(sample: Array, points: Array) -> NDArray[Any]:
    """How often each of `points`, `(points, *event_shape)`, is drawn."""
    equal = np.isclose(sample[:, None], points, rtol=1e-6, atol=0)
    return np.asarray(np.all(equal, axis=tuple(range(2, equal.ndim))).sum(0))
