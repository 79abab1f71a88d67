"""Draws distributions in the plane: counts of samples in cells under lines of equal density."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.colors import BoundaryNorm
from matplotlib.figure import Figure
from matplotlib.tri import Triangulation

from relaxit_reference.domains import Array

from .themes import Theme

CELLS = 32
"""Cells per side: of 100,000 samples about 100 are in each, an error of ten percent."""

LINES = 96
"""Points per side of the grid on which a density is evaluated."""

CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, np.sqrt(3) / 2]])
"""The corners of a triangle, which stand for categories 1, 2 and 3."""


@dataclass(frozen=True, eq=False)
class Plane:
    """One distribution: the density of samples in cells, and the log density on a grid."""

    cells: Array
    """The corners of each cell, `(cells, corners, 2)`."""
    density: Array
    """The density of samples in each cell, `(cells,)`, in the measure of the log density."""
    grid: Triangulation
    log_density: Array
    labels: tuple[str, str] | None
    """Names of the axes; a triangle has none."""


def triangle(samples: Array, log_density: Callable[[Array], Array]) -> Plane:
    """Points of the simplex of three categories. The base measure is Lebesgue in two of them."""
    pairs = _pairs(CELLS)
    right, up = np.array([1, 0]), np.array([0, 1])
    upright = np.stack([pairs, pairs + right, pairs + up], axis=1)
    turned = np.stack([pairs + right + up, pairs + up, pairs + right], axis=1)
    turned = turned[pairs.sum(-1) < CELLS - 1]
    numbers = np.full((2, CELLS, CELLS), -1)
    numbers[(0, *pairs.T)] = np.arange(len(upright))
    numbers[(1, *(turned[:, 0] - 1).T)] = len(upright) + np.arange(len(turned))

    scaled = np.minimum(samples[:, :2] * CELLS, CELLS - 1e-9)
    whole = np.floor(scaled).astype(int)
    beyond = (np.sum(scaled - whole, axis=-1) > 1).astype(int)
    hits = numbers[(beyond, *whole.T)]
    counts = np.bincount(hits[hits >= 0], minlength=len(upright) + len(turned))

    corners = _with_last(np.concatenate([upright, turned]) / CELLS)
    fine = _pairs(LINES + 1) / LINES
    inner = _with_last(fine) * (1 - 1e-4) + 1e-4 / 3  # at the edge a density may be infinite
    return Plane(
        corners @ CORNERS,
        counts * (2 * CELLS**2) / len(samples),
        Triangulation(*(inner @ CORNERS).T),
        log_density(inner),
        None,
    )


def rectangle(
    samples: Array,
    log_density: Callable[[Array], Array],
    limits: Array,
    labels: tuple[str, str],
) -> Plane:
    """Points between `limits`, `[[low, high], [low, high]]`."""
    edges = [np.linspace(low, high, CELLS + 1) for low, high in limits]
    counts = np.histogram2d(samples[:, 0], samples[:, 1], bins=edges)[0].ravel()
    size = np.diff(limits)[:, 0] / CELLS
    corner = np.stack(np.meshgrid(edges[0][:-1], edges[1][:-1], indexing="ij"), -1).reshape(
        -1, 1, 2
    )
    # At the edge a density may be infinite.
    inner = limits + np.diff(limits) * [1e-3, -1e-3]
    axes = [np.linspace(low, high, LINES) for low, high in inner]
    grid = np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, 2)
    return Plane(
        corner + size * np.array([[0, 0], [1, 0], [1, 1], [0, 1]]),
        counts / (len(samples) * float(np.prod(size))),
        Triangulation(*grid.T),
        log_density(grid),
        labels,
    )


def planes(drawn: list[tuple[str, Plane]], theme: Theme) -> Figure:
    """Panels, two or three in a row, with one scale in steps of the square root of ten."""
    columns = 3 if len(drawn) == 3 else 2
    rows = -(-len(drawn) // columns)
    seen = np.concatenate([plane.density for _, plane in drawn])
    top = np.ceil(2 * np.log10(np.quantile(seen[seen > 0], 0.98))) / 2
    levels = np.arange(top - 3, top + 0.1, 0.5)
    norm = BoundaryNorm(10**levels, mpl.colormaps[theme.counts].N, extend="both")
    figure = Figure(figsize=(7, 2.8 * rows if columns == 2 else 2.3), layout="constrained")
    axes = figure.subplots(rows, columns)
    for panel, (title, plane) in zip(axes.flat, drawn, strict=True):
        cells = PolyCollection(
            list(plane.cells),
            array=np.where(plane.density > 0, plane.density, np.nan),
            cmap=theme.counts,
            norm=norm,
            edgecolors="face",
            linewidths=0.2,
            rasterized=True,
        )
        panel.add_collection(cells)
        floor = np.maximum(plane.log_density / np.log(10), levels[0] - 6)
        panel.tricontour(plane.grid, floor, levels, colors=theme.density, linewidths=0.8)
        _frame(panel, plane)
        panel.set_title(title)
    figure.colorbar(cells, ax=axes, shrink=0.6, label="density", format="{x:.3g}")
    return figure


def _frame(axes: Axes, plane: Plane) -> None:
    """Draws the axes, or the triangle, around the cells."""
    if plane.labels:
        axes.set(xlabel=plane.labels[0], ylabel=plane.labels[1])
        axes.autoscale_view()
        axes.margins(0)
        return
    axes.set_aspect("equal")
    axes.set_axis_off()
    axes.set(xlim=(-0.08, 1.08), ylim=(-0.1, 0.97))
    axes.plot(*np.append(CORNERS, CORNERS[:1], 0).T, color=mpl.rcParams["text.color"], lw=0.6)
    for number, (x, y) in enumerate(CORNERS, 1):
        axes.text(x, y + (0.02 if y > 0 else -0.08), f"{number}", ha="center", size="x-small")


def _pairs(steps: int) -> Array:
    """Pairs of whole numbers from 0 with a sum below `steps`."""
    numbers = np.arange(steps)
    pairs = np.stack(np.meshgrid(numbers, numbers, indexing="ij"), -1).reshape(-1, 2)
    return pairs[pairs.sum(-1) < steps]


def _with_last(pairs: Array) -> Array:
    """Appends the third coordinate, `1 - c_1 - c_2`."""
    return np.concatenate([pairs, 1 - pairs.sum(-1, keepdims=True)], axis=-1)
