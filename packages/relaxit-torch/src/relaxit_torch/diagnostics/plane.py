"""A plot of variance against squared bias."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from relaxit_torch.diagnostics.row import GradientRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure

NO_VARIANCE = 1e-10
"""A smaller share of the largest variance of a report is the variance of rounding errors."""


def bias_variance_plane(measured: Sequence[GradientRow], axes: Any) -> Figure:
    """Plots rows on `axes`, or on a new figure if that is None. See `GradientReport.plot`."""
    try:
        from matplotlib.figure import Figure
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            'plot needs matplotlib: python -m pip install "relaxit-torch[plot]"'
        ) from error
    if axes is None:
        axes = Figure(figsize=(8, 5), dpi=150, layout="constrained").add_subplot()
    rounding = NO_VARIANCE * max((row.variance for row in measured), default=0)
    shown = [row for row in measured if row.variance > rounding]
    least = min((row.bias_squared for row in shown if row.has_bias), default=1.0)
    column = 0.2 * least
    names = list(dict.fromkeys(row.estimator for row in shown))
    for i, name in enumerate(names):
        # Side by side, so that no marker hides another.
        aside = column * 2 ** ((i + 0.5) / len(names) - 0.5)
        rows = [row for row in shown if row.estimator == name]
        rows.sort(key=lambda row: row.temperature or 0)
        x = [row.bias_squared if row.has_bias else aside for row in rows]
        y = [row.variance for row in rows]
        colour, marker = f"C{i % 10}", "osD^vP*X"[i % 8]
        axes.plot(x, y, color=colour, linewidth=1, alpha=0.6)
        axes.scatter(
            x,
            y,
            s=[60 if row is rows[-1] and len(rows) > 1 else 20 for row in rows],
            marker=marker,
            edgecolors=colour,
            facecolors=[colour if row.has_bias else "none" for row in rows],
            zorder=3,
        )
        axes.plot([], [], color=colour, marker=marker, markersize=5, label=name)
    axes.set(xscale="log", yscale="log", xlabel="squared bias", ylabel="variance")
    axes.set_xlim(left=0.5 * column)
    if not all(row.has_bias for row in shown):
        border, right = 0.45 * least, axes.get_xlim()[1]
        axes.axvline(border, color="grey", linewidth=0.8, linestyle=":")
        axes.text(column, 1.01, "none found", transform=axes.get_xaxis_transform(), ha="center")
        for minor in (False, True):  # the column has no ticks
            ticks = [x for x in axes.get_xticks(minor=minor) if border < x < right]
            axes.set_xticks(ticks, minor=minor)
    axes.grid(alpha=0.3)
    axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
    figure: Figure = axes.figure
    return figure
