"""Integrals and goodness-of-fit tests, with the one rate of false alarms."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from relaxit_reference.domains import Array

LogDensity = Callable[[Array], Array]

ALARM_RATE = 1e-6
"""The p-value below which a statistical test fails.

Seeds are fixed, so a correct implementation passes or fails once and for all. At some 10^3 tests
the chance that any of them had to be given another seed is 10^-3; a Kolmogorov-Smirnov distance
that large at n = 20,000 is 0.019, so that faults of two percent of probability are found.
"""

SETTLED = 1e-5
"""The change of the trapezoidal rule at which its step is halved no more. Where densities are
analytic its error is exp(-c / step), or less: half the step squares it, so that a change of 10^-5
leaves an error of 10^-10."""

FINEST = 1 / 32
"""The smallest step of the trapezoidal rule, where a wrong density is not analytic."""

REACH = 36.0
"""Half the width of the grid, in coordinates times the temperature: with logits within 3 a density
with exponential tails has fallen to exp(-(36 - 3)) = 5e-15 of its peak."""

DIMENSIONS = 3
"""The most free coordinates in which mass is integrated."""


def total_mass(law: Any, logpdf: LogDensity | None = None) -> Array:
    """The mass of `exp(logpdf)`, atoms included, for each batch element of `law`.

    Args:
        law: a reference distribution, with events of at most three free coordinates.
        logpdf: the log density of an implementation of this law; by default its own.
    """
    logpdf = law.logpdf if logpdf is None else logpdf
    support, batch = law.spec.relax.support, law.batch_shape
    if law.spec.discrete:
        return np.asarray(np.exp(logpdf(law.states())).sum(0))
    if law.spec.density.kind == "mixed":
        nodes, weights = _gauss_legendre(np.linspace(support.low, support.high, PANELS + 1))
        weights = weights.reshape(-1, *(1,) * len(batch))
        between = np.sum(np.exp(logpdf(_before_batch(nodes, law))) * weights, axis=0)
        atoms = [np.exp(logpdf(np.full(batch, atom))) for atom in law.spec.density.atoms]
        return np.asarray(between + sum(atoms))
    dimension = law.chart.chart_dim(law.event_shape)
    if dimension > DIMENSIONS:
        raise ValueError(f"quadrature takes at most {DIMENSIONS} coordinates, but got {dimension}")
    step, mass, change = 1.0, _trapezoid(law, logpdf, 1.0), np.inf
    while change > SETTLED and step > FINEST:
        step /= 2
        finer = _trapezoid(law, logpdf, step)
        mass, change = finer, float(np.max(np.abs(finer - mass)))
    return mass


def _trapezoid(law: Any, logpdf: LogDensity, step: float) -> Array:
    """The integral over the chart, stretched by the temperature: the width of a relaxed law there
    is that of its noise over the temperature.
    """
    dimension, batch = law.chart.chart_dim(law.event_shape), law.batch_shape
    width = 1 / np.broadcast_to(getattr(law, "temperature", 1.0), batch)[..., None]
    axis = np.arange(-REACH, REACH + step / 2, step)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    total = np.zeros(batch)
    for part in np.array_split(grid, max(1, len(grid) // 50_000)):
        coordinates = part.reshape(-1, *(1,) * len(batch), dimension) * width
        log_density = logpdf(law.chart.from_chart(coordinates))
        total += np.exp(log_density + law.chart.log_jacobian(coordinates)).sum(0)
    return np.asarray(total * (step * width[..., 0]) ** dimension)


PANELS = 1_000
"""Panels of Gauss-Legendre quadrature, of 20 nodes each, for a density between two atoms: normal
densities with a standard deviation of 0.01, ten panels wide, are integrated to rounding."""


def _gauss_legendre(edges: Array) -> tuple[Array, Array]:
    """Nodes and weights of 20-point rules on the panels between `edges`, one after the other."""
    nodes, weights = np.polynomial.legendre.leggauss(20)
    half = np.diff(edges)[:, None] / 2
    return (edges[:-1, None] + half * (nodes + 1)).ravel(), (half * weights).ravel()


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
"""Cells of the chart, in each coordinate."""

ATOM_CELLS = np.linspace(0, 1, 11)
"""Cells between the atoms of a mixed law, as fractions of their distance."""


def sample_against_density(sample: Array, law: Any) -> float:
    """The p-value of a sample against the density of `law`: chi-square over cells, and atoms.

    Cells in more than two free coordinates are too many; there it is that of likelihood ratios.

    Args:
        sample: `(n, *event_shape)`.
        law: a distribution of batch shape `()`.
    """
    support = law.spec.relax.support
    if law.spec.discrete:
        points = law.states()
        return chi_square(_counts(sample, points), np.exp(law.logpdf(points)))
    if law.spec.density.kind == "mixed":
        points = np.asarray(law.spec.density.atoms)
        edges = support.low + (support.high - support.low) * ATOM_CELLS
        nodes, weights = _gauss_legendre(np.linspace(support.low, support.high, PANELS + 1))
        masses = np.exp(law.logpdf(nodes)) * weights
        cells = np.add.reduceat(masses, np.arange(0, len(masses), len(masses) // 10))
        between = sample[~np.isin(sample, points)]
        counts = np.histogram(between, edges)[0]
        return chi_square(
            np.append(_counts(sample, points), counts), np.append(np.exp(law.logpdf(points)), cells)
        )
    chart, dimension = law.chart, law.chart.chart_dim(law.event_shape)
    if dimension > 2:
        return _likelihood_ratios(chart.to_chart(sample), law)
    axis, weight = _gauss_legendre(CELL_EDGES)
    grid = np.stack(np.meshgrid(*[axis] * dimension, indexing="ij"), -1).reshape(-1, dimension)
    cell_weights = np.prod(np.meshgrid(*[weight] * dimension, indexing="ij"), axis=0).ravel()
    log_density = law.logpdf(chart.from_chart(grid)) + chart.log_jacobian(grid)
    masses = np.exp(log_density) * cell_weights
    masses = masses.reshape((len(CELL_EDGES) - 1, 20) * dimension)
    masses = masses.sum(tuple(range(1, 2 * dimension, 2)))
    counts, _ = np.histogramdd(chart.to_chart(sample), bins=[CELL_EDGES] * dimension)
    outside = len(sample) - counts.sum()
    return chi_square(
        np.append(counts.ravel(), outside), np.append(masses.ravel(), max(0.0, 1 - masses.sum()))
    )


CENTRES = 10
"""The normal densities with which a sample is weighed, about the first of its points."""


def _likelihood_ratios(coordinates: Array, law: Any) -> float:
    """The p-value of `E[q(x) / p(x)] = 1` for the density `p` of `law` and normal densities `q`.

    Half as wide as the sample, so that the ratios have all moments.
    """
    rest, width = coordinates[CENTRES:], coordinates.std(0) / 2
    log_p = law.logpdf(law.chart.from_chart(rest)) + law.chart.log_jacobian(rest)
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
