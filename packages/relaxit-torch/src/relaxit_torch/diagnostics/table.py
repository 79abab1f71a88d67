"""What was measured of estimators, as a table that prints, converts and plots."""

from __future__ import annotations

import csv
import io
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from relaxit_torch.diagnostics.plane import bias_variance_plane

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class GradientRow:
    """What was measured of one estimator at one temperature.

    The gradients of all logits of the batch are one vector, that of the sum of `f`.
    """

    estimator: str
    temperature: float | None
    """None where the estimator has none, or several."""
    bias_squared: float
    """Squared distance of the mean from the exact gradient. What the noise of the mean adds is
    subtracted, so that it may be a little below 0."""
    bias_squared_stderr: float
    """Its standard error: a bias that is not several times as large may be none."""
    variance: float
    """Sum of the variances of all entries of a single draw."""
    mean_squared_error: float
    """Of a single draw; up to noise, the sum of both."""
    cosine_of_mean: float
    """Between the mean of all draws and the exact gradient."""
    mean_cosine: float
    """The mean over draws of that of a single one, 0 for a draw that is 0."""
    evaluations: float
    """How many samples `f` is called on for a draw and batch element, counted."""
    seconds: float
    """Time of a draw, forward and backward, when many are drawn at once."""

    @property
    def has_bias(self) -> bool:
        """Whether a bias was found: squared, above two standard errors."""
        return self.bias_squared > 2 * self.bias_squared_stderr


@dataclass(frozen=True)
class GradientReport:
    """A table of rows, which prints, converts and plots."""

    rows: tuple[GradientRow, ...]
    samples: int
    """Draws of each estimator."""

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
        """The table as comma-separated values, all digits; also written to `path` if given."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(field.name for field in fields(GradientRow))
        writer.writerows(map(astuple, self.rows))
        if path is not None:
            Path(path).write_text(text.getvalue(), encoding="utf-8")
        return text.getvalue()

    def plot(self, path: str | Path | None = None, *, axes: Any = None) -> Figure:
        """Draws the plane of squared bias and variance, a curve over temperature per estimator.

        Both axes are logarithmic. Open markers, in a column of their own at the left, are estimates
        whose squared bias is below two standard errors: none was found. The greatest temperature
        of a curve has a larger marker. Estimators without variance are not on the plane.

        Args:
            path: where to save the picture, in the format of its suffix.
            axes: matplotlib axes to draw on, of a new figure by default.

        Returns:
            The figure.

        Raises:
            ModuleNotFoundError: without matplotlib, of the extra `relaxit-torch[plot]`.
        """
        figure = bias_variance_plane(self.rows, axes)
        if path is not None:
            figure.savefig(path)
        return figure


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
