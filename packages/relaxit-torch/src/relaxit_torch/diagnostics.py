r"""How good a gradient estimate is: its bias, variance and cost, against the exact gradient.

Example:
    >>> import torch
    >>> from torch.distributions import OneHotCategorical
    >>> from relaxit_torch.diagnostics import gradient_report
    >>> from relaxit_torch.estimators import reinmax, score_function, straight_through
    >>> distribution = OneHotCategorical(logits=torch.tensor([1.0, 0.0, -1.0]))
    >>> report = gradient_report(
    ...     [score_function, straight_through, reinmax],
    ...     distribution,
    ...     lambda z: (z @ torch.tensor([1.0, -1.0, 2.0])) ** 2,
    ...     samples=1000,
    ... )
    >>> [row.estimator for row in report.rows]
    ['score_function', 'straight_through', 'reinmax']
    >>> report.rows[1].bias_squared > report.rows[2].bias_squared
    True
    >>> print(report)  # doctest: +ELLIPSIS
    estimator         temperature  bias_squared ...
"""

from __future__ import annotations

import csv
import functools
import inspect
import io
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from relaxit_torch.estimators import exact
from relaxit_torch.estimators.discrete import DiscreteVariable, Function
from relaxit_torch.parameters import check_count

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Estimator = Callable[..., Tensor]

TEMPERATURES = ("temperature", "backward_temperature")
"""The names of the option over which an estimator may be a curve."""

NO_VARIANCE = 1e-10
"""Of the greatest variance of a report: what is below has the variance of rounding."""

TINY = 1e-300
"""A length below which a vector has no direction: its cosine is 0."""


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
        try:
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                'plot needs matplotlib: python -m pip install "relaxit-torch[plot]"'
            ) from error
        if axes is None:
            axes = Figure(figsize=(8, 5), dpi=150, layout="constrained").add_subplot()
        rounding = NO_VARIANCE * max((row.variance for row in self.rows), default=0)
        shown = [row for row in self.rows if row.variance > rounding]
        least = min((row.bias_squared for row in shown if row.has_bias), default=1.0)
        column = 0.2 * least
        names = list(dict.fromkeys(row.estimator for row in shown))
        for i, name in enumerate(names):
            aside = column * 2 ** ((i + 0.5) / len(names) - 0.5)  # so that none hides another
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
            for minor in (False, True):  # the column is not on the scale
                ticks = [x for x in axes.get_xticks(minor=minor) if border < x < right]
                axes.set_xticks(ticks, minor=minor)
        axes.grid(alpha=0.3)
        axes.legend(fontsize="small", loc="center left", bbox_to_anchor=(1.01, 0.5), frameon=False)
        figure: Figure = axes.figure
        if path is not None:
            figure.savefig(path)
        return figure


def gradient_report(
    estimators: Iterable[Estimator] | Mapping[str, Estimator],
    distribution: Distribution,
    f: Function,
    *,
    samples: int = 1000,
    temperatures: Sequence[float] | None = None,
    exact_gradient: Tensor | None = None,
    rescale: bool = False,
    chunk_size: int | None = None,
) -> GradientReport:
    """Measures estimators against the exact gradient with respect to the logits.

    Args:
        estimators: of `relaxit_torch.estimators`, or anything that is called as these are. With
            options: `functools.partial(gumbel_rao, samples=100)`. A mapping gives names; otherwise
            they are those of the functions, with the options that are not temperatures.
        distribution: see `relaxit_torch.estimators`; its logits need not require a gradient.
        f: likewise. Its own parameters get no gradient.
        samples: draws of each estimator, at least 2.
        temperatures: a row for each, of estimators that have a `temperature` (or
            `backward_temperature`) which no `partial` has fixed.
        exact_gradient: of the sum of `f` over the batch, of the shape of the logits; by default
            that of `exact`.
        rescale: whether each estimator is multiplied by the number that gives its mean the length
            of the exact gradient. Then only directions are compared, as an optimiser does that
            adapts its step (Hooper, Shekhovtsov 2026). A mean of 0 stays 0.
        chunk_size: how many draws are made at a time; all by default.

    Returns:
        The rows, in the order of the estimators and temperatures.
    """
    if temperatures is not None and not len(temperatures):
        raise ValueError("temperatures must be numbers or None, but got none")
    if check_count("samples", samples) < 2:
        raise ValueError(f"samples must be an integer of at least 2, but got {samples}")
    chunk = samples if chunk_size is None else check_count("chunk_size", chunk_size)
    with torch.enable_grad():
        variable = DiscreteVariable.of(distribution, differentiable=False)
        logits = variable.logits.detach()
        if exact_gradient is None:
            leaf = logits.clone().requires_grad_()
            value = exact(_with_logits(distribution, leaf), f)
            (exact_gradient,) = torch.autograd.grad(value.sum(), leaf)
        elif exact_gradient.shape != logits.shape:
            raise ValueError(
                f"exact_gradient must have the shape of the logits, {tuple(logits.shape)}, "
                f"but got {tuple(exact_gradient.shape)}"
            )
        truth = exact_gradient.detach().flatten().double()
        rows = []
        for name, temperature, estimator in _variants(estimators, temperatures):
            draws, evaluations, seconds = _draw(estimator, distribution, logits, f, samples, chunk)
            moments = _moments(draws.flatten(1).double(), truth, rescale)
            rows.append(
                GradientRow(
                    estimator=name,
                    temperature=temperature,
                    **moments,
                    evaluations=evaluations,
                    seconds=seconds,
                )
            )
    return GradientReport(tuple(rows), samples)


def _variants(
    estimators: Iterable[Estimator] | Mapping[str, Estimator], temperatures: Sequence[float] | None
) -> Iterator[tuple[str, float | None, Estimator]]:
    """Name, temperature and function of each row."""
    if not isinstance(estimators, Mapping):
        functions = list(estimators)
        estimators = {_name(function): function for function in functions}
        if len(estimators) < len(functions):
            raise ValueError(
                "estimators must have different names, or be a mapping that gives them, "
                f"but got {[_name(function) for function in functions]}"
            )
    for name, estimator in estimators.items():
        options = inspect.signature(estimator).parameters
        option = next((option for option in TEMPERATURES if option in options), None)
        fixed = isinstance(estimator, functools.partial) and option in estimator.keywords
        if option is None:
            yield name, None, estimator
        elif fixed or temperatures is None:
            yield name, _number(options[option].default), estimator
        else:
            for temperature in temperatures:
                yield name, temperature, functools.partial(estimator, **{option: temperature})


def _name(estimator: Estimator) -> str:
    """That of the function, with the options that are not temperatures."""
    if not isinstance(estimator, functools.partial):
        return getattr(estimator, "__name__", type(estimator).__name__)
    options = (f"{k}={v}" for k, v in estimator.keywords.items() if k not in TEMPERATURES)
    return f"{_name(estimator.func)}({', '.join(options)})".removesuffix("()")


def _number(temperature: Any) -> float | None:
    single = isinstance(temperature, Real) or (
        isinstance(temperature, Tensor) and temperature.numel() == 1
    )
    return float(temperature) if single else None


def _with_logits(distribution: Distribution, logits: Tensor) -> Distribution:
    """A distribution of the same kind, whose batch has the additional dimensions of the logits."""
    validate_args = distribution._validate_args
    if isinstance(distribution, Independent):
        base = _with_logits(distribution.base_dist, logits)
        dimensions = distribution.reinterpreted_batch_ndims
        return Independent(base, dimensions, validate_args=validate_args)
    family = Bernoulli if isinstance(distribution, Bernoulli) else OneHotCategorical
    return family(logits=logits, validate_args=validate_args)


def _draw(
    estimator: Estimator,
    distribution: Distribution,
    logits: Tensor,
    f: Function,
    samples: int,
    chunk: int,
) -> tuple[Tensor, float, float]:
    """Gradients `(samples, *logits.shape)`, evaluations of `f` and seconds for each draw."""
    evaluations, gradients = 0, []

    def counted(value: Tensor) -> Tensor:
        nonlocal evaluations
        found = f(value)
        evaluations += found.numel() if isinstance(found, Tensor) else 0
        return found

    start = _now(logits.device)
    for first in range(0, samples, chunk):
        size = min(chunk, samples - first)
        # Every draw has logits of its own, so that each has its own gradient.
        leaf = logits.expand(size, *logits.shape).clone().requires_grad_()
        value = estimator(_with_logits(distribution, leaf), counted)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        gradients.append(gradient)
    seconds = (_now(logits.device) - start) / samples
    return torch.cat(gradients), evaluations / (samples * distribution.batch_shape.numel()), seconds


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _moments(draws: Tensor, truth: Tensor, rescale: bool) -> dict[str, float]:
    """The fields of a row that compare draws `(samples, entries)` with the exact gradient."""
    samples, mean = len(draws), draws.mean(0)
    rescale = rescale and bool(mean.any())
    if rescale:
        scale = torch.linalg.vector_norm(truth) / torch.linalg.vector_norm(mean)
        draws, mean = scale * draws, scale * mean
    centred, bias = draws - mean, mean - truth
    variance = centred.square().sum() / (samples - 1)
    if rescale:  # along the mean, whose length is given, it has no noise
        direction = mean / torch.linalg.vector_norm(mean)
        centred = centred - (centred @ direction).unsqueeze(-1) * direction
    # The variance of |bias + e|^2, where the error e of the mean has the covariance C / n, is
    # 4 bias C bias / n + 2 tr(C^2) / n^2. With C = X^T X / (n - 1) that trace is the squared norm
    # of the smaller one of X^T X and X X^T.
    noise = centred.square().sum() / (samples - 1) / samples
    along = (centred @ bias).square().sum() / (samples - 1)
    gram = centred.mT @ centred if draws.shape[1] < samples else centred @ centred.mT
    trace = gram.square().sum() / (samples - 1) ** 2
    cosine = functools.partial(torch.cosine_similarity, dim=-1, eps=TINY)
    statistics = {
        "bias_squared": bias.square().sum() - noise,
        "bias_squared_stderr": (4 * along / samples + 2 * trace / samples**2).sqrt(),
        "variance": variance,
        "mean_squared_error": (draws - truth).square().sum(-1).mean(),
        "cosine_of_mean": cosine(mean, truth),
        "mean_cosine": cosine(draws, truth).mean(),
    }
    return {name: statistic.item() for name, statistic in statistics.items()}


def _cell(value: Any) -> str:
    if value is None:
        return "-"
    return value if isinstance(value, str) else f"{value:.4g}"
