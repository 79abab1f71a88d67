"""The measurements of several estimators: a table that prints, converts and plots."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaxit_torch.diagnostics.plane import bias_variance_plane
from relaxit_torch.diagnostics.row import GradientRow

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class GradientReport:
    """A table of rows, which prints, converts and plots."""

    rows: tuple[GradientRow, ...]
    samples: int
    """The number of draws of each estimator."""

    def __str__(self) -> str:
        head = tuple(field.name for field in fields(GradientRow))
        lines = [head, *(tuple(map(_cell, astuple(row))) for row in self.rows)]
        widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
        return "\n".join(
            "  ".join(
                cell.rjust(width) if i else cell.ljust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            ).rstrip()
            for line in lines
        )

    def to_csv(self, path: str | Path | None = None) -> str:
        """The table as comma-separated values with all digits. Also written to `path` if given."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(field.name for field in fields(GradientRow))
        writer.writerows(map(astuple, self.rows))
        if path is not None:
            Path(path).write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()

    def plot(self, path: str | Path | None = None, *, axes: Any = None) -> Figure:
        """Plots variance against squared bias, with one curve over temperature per estimator.

        Both axes are logarithmic. Open markers in a separate column at the left show estimators
        without a measurable bias: below two standard errors. The largest temperature of a curve has
        a larger marker. Estimators without variance are left out.

        Args:
            path: Where to save the figure. The suffix gives the format.
            axes: The matplotlib axes to draw on. Default: a new figure.

        Returns:
            The figure.

        Raises:
            ModuleNotFoundError: matplotlib is missing. `relaxit-torch[plot]` installs it.
        """
        figure = bias_variance_plane(self.rows, axes)
        if path is not None:
            figure.savefig(path)
        return figure


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
