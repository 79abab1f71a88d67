"""Draws every distribution from the code: samples of PyTorch, the density of the reference.

What is drawn follows from the specification: its kind, its support, and the free coordinates of
its values. No distribution is named here.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from relaxit_reference import Spec
from relaxit_reference.domains import Array, Independent, Interval, Simplex

from .bridge import bridge
from .drawn_distributions import SAMPLES, DrawnDistribution, drawn_distributions
from .picture import Picture
from .planes import Plane, planes, rectangle, triangle
from .themes import Theme

SPIKE = 8.0
"""Where the axis ends if a density goes to infinity, as a multiple of the mean density."""


def samples_picture(spec: Spec) -> Picture:
    """Samples of PyTorch against the density of the reference, or against its probabilities."""
    if spec.kind == "map":
        return bridge(spec)
    found = drawn_distributions(spec)
    dimensions = found[0].dimensions
    if dimensions == 0:
        what = "Bars: shares among {} samples. Points: the probabilities of the reference."
    elif dimensions == 1 and spec.density.atoms:
        what = (
            "Area: histogram of {} samples. Line: the density of the reference. Bars and points: "
            "shares of samples and probabilities of the reference at the atoms."
        )
    elif dimensions == 1:
        what = "Area: histogram of {} samples. Line: the density of the reference."
    elif dimensions == 2:
        row = " of the first row" if spec.event_dim == 2 else ""
        what = (
            f"Colours: the density{row} of {{}} samples. Lines: where the density of the reference "
            "passes from one colour to the next."
        )
    else:
        what = "Bars: shares among {} hardened samples. Points: the probabilities of the reference."
    draw: Callable[[Theme], Figure]
    if dimensions == 2:
        draw = partial(map_panels, found)
    else:
        draw = partial(panels, found, {0: masses, 1: histogram}.get(dimensions, hardened_masses))
    name = "-".join(
        [spec.name, *(n for n in spec.arguments if n not in spec.counts), *spec.optional]
    )
    return Picture(f"{name}-samples", f"Samples of {spec}", what.format(f"{SAMPLES:,}"), draw)


# -- distributions on finitely many points, and on the line --------------------------------------


def panels(
    found: list[DrawnDistribution],
    draw: Callable[[Axes, DrawnDistribution, Theme], None],
    theme: Theme,
) -> Figure:
    """Two rows of panels, one for each distribution."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    for axes, distribution in zip(figure.subplots(2, 2).flat, found, strict=True):
        draw(axes, distribution, theme)
        axes.set_title(distribution.title)
    return figure


def masses(axes: Axes, distribution: DrawnDistribution, theme: Theme) -> None:
    """Shares of the values against their probabilities."""
    states = distribution.reference.states()
    bars(axes, distribution.samples, states, np.exp(distribution.reference.logpdf(states)), theme)


def hardened_masses(axes: Axes, distribution: DrawnDistribution, theme: Theme) -> None:
    """Shares of the hardened values against their probabilities."""
    hardened = distribution.torch.harden(torch.tensor(distribution.samples)).numpy()
    states = np.unique(hardened, axis=0)[::-1]
    bars(axes, hardened, states, distribution.reference.discrete_pmf(states), theme)


def bars(axes: Axes, samples: Array, states: Array, probabilities: Array, theme: Theme) -> None:
    """A bar and a point for each state."""
    flat = states.reshape(len(states), -1)
    equal = np.isclose(samples.reshape(len(samples), 1, -1), flat, rtol=1e-6, atol=0)
    places = range(len(states))
    axes.bar(places, equal.all(-1).mean(0), color=theme.samples, width=0.6)
    axes.plot(places, probabilities, "o", color=theme.density)
    axes.set_xticks(places, [state_label(state) for state in states])
    axes.set_ylim(0)
    axes.set_ylabel("probability")


def state_label(state: Array) -> str:
    """A number, the digits of a vector, or the digits of a matrix in rows."""
    if state.ndim == 2:
        return "\n".join(state_label(row) for row in state)
    return "".join(f"{entry:.3g}" for entry in np.atleast_1d(state))


def histogram(axes: Axes, distribution: DrawnDistribution, theme: Theme) -> None:
    """Samples and density of a number, atoms included."""
    support = distribution.spec.relax.support
    if isinstance(support, Interval):
        low, high = support.low, support.high
    else:
        low, high = np.quantile(distribution.samples, [0.001, 0.999])
    atoms = np.array(distribution.spec.density.atoms)
    between = distribution.samples[~np.isin(distribution.samples, atoms)]
    counts, edges = np.histogram(between, bins=60, range=(low, high))
    heights = counts / (SAMPLES * np.diff(edges))
    axes.stairs(heights, edges, fill=True, color=theme.samples)
    # Rounding may have brought a sample, but not the grid, to the end of the support.
    x = np.linspace(low, high, 802)[1:-1]
    axes.plot(x, np.exp(distribution.reference.logpdf(x)), color=theme.density)
    if len(atoms):
        width = (high - low) / 40
        shares = [np.mean(distribution.samples == atom) for atom in atoms]
        axes.bar(atoms, shares, width, color=theme.samples, edgecolor=theme.ink, linewidth=0.5)
        axes.plot(atoms, np.exp(distribution.reference.logpdf(atoms)), "o", color=theme.density)
    top = max(heights.max(), *np.exp(distribution.reference.logpdf(atoms)), 0)
    axes.set_ylim(0, min(1.15 * top, SPIKE / (high - low)))
    axes.set_ylabel("density")


# -- distributions in the plane ------------------------------------------------------------------


def map_panels(found: list[DrawnDistribution], theme: Theme) -> Figure:
    """A panel for each distribution."""
    return planes([(distribution.title, plane(distribution)) for distribution in found], theme)


def plane(distribution: DrawnDistribution) -> Plane:
    """A triangle for the simplex, a square for the cube, free coordinates for other supports.

    If a value has several rows, the first is drawn. It determines the others.
    """
    samples, reference = distribution.samples, distribution.reference
    support, chart = distribution.spec.relax.support, reference.chart
    of = support.of if isinstance(support, Independent) else support
    if isinstance(of, Simplex):

        def on_simplex(c: Array) -> Array:
            x = Simplex().to_chart(c)
            per_coordinate = reference.logpdf(chart.from_chart(x)) + chart.log_jacobian(x)
            return np.asarray(per_coordinate - Simplex().log_jacobian(x))

        return triangle(samples[:, 0] if distribution.spec.event_dim == 2 else samples, on_simplex)
    if isinstance(of, Interval):
        limits, labels = np.array([[of.low, of.high]] * 2), ("first entry", "second entry")
        return rectangle(samples, reference.logpdf, limits, labels)
    free = chart.to_chart(samples)
    return rectangle(
        free,
        lambda x: reference.logpdf(chart.from_chart(x)) + chart.log_jacobian(x),
        np.quantile(free, [0.002, 0.998], axis=0).T,
        ("first coordinate", "second coordinate"),
    )
