"""How pictures look: on a light page, and on a dark one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.colors import to_hex


@dataclass(frozen=True)
class Theme:
    """Colours for one background."""

    name: str
    ink: str
    samples: str
    density: str
    series: str
    """A colour map for lines, its ends left out."""
    counts: str
    """A colour map for cells, from few samples to many."""

    def apply(self) -> Any:
        """The matplotlib settings, as a context."""
        return mpl.rc_context(
            {
                "text.color": self.ink,
                "axes.labelcolor": self.ink,
                "axes.edgecolor": self.ink,
                "xtick.color": self.ink,
                "ytick.color": self.ink,
                "axes.titlesize": "small",
                "axes.labelsize": "small",
                "xtick.labelsize": "x-small",
                "ytick.labelsize": "x-small",
                "legend.fontsize": "x-small",
                "legend.frameon": False,
                "axes.spines.top": False,
                "axes.spines.right": False,
                "axes.facecolor": "none",
                "figure.facecolor": "none",
                "savefig.transparent": True,
                "svg.hashsalt": "relaxit",  # the same picture is the same file
            }
        )

    def lines(self, count: int) -> list[str]:
        """Colours of `count` lines."""
        return [to_hex(c) for c in mpl.colormaps[self.series](np.linspace(0.15, 0.85, count))]


THEMES = (
    Theme("light", "#333333", "#9fb4dc", "#b3261e", "viridis", "YlGnBu"),
    Theme("dark", "#dddddd", "#4a628f", "#ff6b6b", "cool", "YlGnBu_r"),
)
