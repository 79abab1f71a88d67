"""Draws every distribution from the code: samples of PyTorch, the density of the reference.

What is drawn follows from the specification: its kind, its support, and the free coordinates of
its values. No distribution is named here.

The READMEs have no build. Their pictures are written by

    python docs/pictures.py gumbel_softmax docs/images/gumbel_softmax.png
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import Any, get_type_hints

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from planes import Plane, planes, rectangle, triangle
from themes import THEMES, Theme
from torch.distributions import Distribution

import relaxit_torch
from relaxit_reference import Spec, load_spec
from relaxit_reference.domains import Array, Independent, Interval, Simplex
from relaxit_reference.testing.draws import place_parameters
from relaxit_reference.testing.statistics import ALARM_RATE, law_against_density

SAMPLES = 100_000
SPIKE = 8.0
"""Where the axis of a density ends that goes to infinity, as a multiple of the mean density."""

TEMPERATURES = (0.25, 0.5, 1.0, 2.0)


@dataclass(frozen=True, eq=False)
class Law:
    """One distribution in both packages, with its samples."""

    spec: Spec
    parameters: Mapping[str, Array]
    shown: tuple[str, ...]
    """The parameters that its title names."""

    @cached_property
    def reference(self) -> Any:
        """The one whose density is drawn."""
        return self.spec.reference_class(**self.parameters, **self.spec.arguments)

    @cached_property
    def torch(self) -> Any:
        """The one whose samples are drawn."""
        given = {name: torch.tensor(value) for name, value in self.parameters.items()}
        return torch_class(self.spec)(**given, **self.spec.arguments)

    @cached_property
    def samples(self) -> Array:
        """`(SAMPLES, *event_shape)`.

        Raises:
            ValueError: they do not have the density that will be drawn over them.
        """
        torch.manual_seed(0)
        samples = self.torch.sample((SAMPLES,)).numpy()
        p_value = law_against_density(samples, self.reference)
        if p_value < ALARM_RATE:
            raise ValueError(f"{self.spec} at {self.title}: samples without their density")
        return np.asarray(samples)

    @property
    def title(self) -> str:
        """The parameters by which it differs from the others of its picture."""
        return "\n".join(f"{name} = {rounded(self.parameters[name])}" for name in self.shown)

    @property
    def dimensions(self) -> int:
        """The number of free coordinates of a value; 0 of finitely many."""
        return 0 if self.spec.discrete else self.reference.chart.chart_dim(self.torch.event_shape)


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn in every theme."""

    name: str
    title: str
    caption: str
    draw: Callable[[Theme], Figure] = field(repr=False)

    def save(self, folder: Path) -> None:
        """Writes `name-light.svg` and `name-dark.svg`."""
        for theme in THEMES:
            with theme.apply():
                figure = self.draw(theme)
                figure.savefig(
                    folder / f"{self.name}-{theme.name}.svg", dpi=150, metadata={"Date": None}
                )

    def markdown(self, folder: str) -> str:
        """Both files, of which the reader's theme shows one, and what they show."""
        files = [
            f"![{self.title}]({folder}/{self.name}-{theme.name}.svg#only-{theme.name})"
            for theme in THEMES
        ]
        return "\n".join(files) + f"\n\n*{self.caption}*"


def torch_class(spec: Spec) -> Any:
    """The class in `relaxit_torch`, or the module of a map."""
    return getattr(relaxit_torch, spec.classes.torch)


def laws(spec: Spec) -> list[Law]:
    """Four distributions: at four temperatures, or with four sets of parameters."""
    names = spec.parameterisations()[0]
    if "temperature" in names:
        chosen = place(spec, tuple(name for name in names if name != "temperature"), 0)
        return [
            Law(spec, {**chosen, "temperature": np.asarray(temperature)}, ("temperature",))
            for temperature in TEMPERATURES
        ]
    return [Law(spec, place(spec, names, start), names) for start in range(4)]


def place(spec: Spec, names: tuple[str, ...], start: int) -> dict[str, Array]:
    """Parameters in their moderate ranges, spread by multiples of the golden ratio."""
    drawn = start

    def spread(shape: tuple[int, ...]) -> Array:
        nonlocal drawn
        steps = drawn + np.arange(np.prod(shape, dtype=int))
        drawn += len(steps)
        return np.asarray((0.3 + steps * (np.sqrt(5) - 1) / 2) % 1).reshape(shape)

    shapes = dict.fromkeys(names, ())
    return place_parameters(spec, names, shapes, spec.sizes[0], spec.moderate, np.float64, spread)


def rounded(value: Array) -> str:
    """Numbers as a title has room for them."""
    if value.ndim == 0:
        return f"{value:.3g}"
    return "(" + ", ".join(rounded(entry) for entry in value) + ")"


def law_picture(spec: Spec) -> Picture:
    """Samples of PyTorch against the density of the reference, or against its probabilities."""
    if spec.kind == "map":
        return bridge(spec)
    found = laws(spec)
    dimensions = found[0].dimensions
    if dimensions == 0:
        what = "Bars: shares among {} samples. Points: the probabilities of the reference."
    elif dimensions == 1 and spec.density.atoms:
        what = (
            "Area: histogram of {} samples. Line: the density of the reference. Bars and points: "
            "the same at the atoms, where both are probabilities."
        )
    elif dimensions == 1:
        what = "Area: histogram of {} samples. Line: the density of the reference."
    elif dimensions == 2:
        row = " of the first row" if spec.event_dim == 2 else ""
        what = (
            f"Colours: the density{row} of {{}} samples. Lines: where that of the reference passes "
            "from one colour to the next."
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
    return Picture(f"{name}-law", f"Samples of {spec}", what.format(f"{SAMPLES:,}"), draw)


def gradient_picture(spec: Spec) -> Picture | None:
    """The gradient of samples, where they have one."""
    if spec.kind == "map" or spec.relax.gradient == "none":
        return None
    signal = GradientSignal(spec)
    return Picture(f"{spec.name}-gradient", f"Gradients of {spec}", signal.caption, signal.draw)


# -- laws on finitely many points, and on the line -----------------------------------------------


def panels(found: list[Law], draw: Callable[[Axes, Law, Theme], None], theme: Theme) -> Figure:
    """Two rows of panels, one for each law."""
    figure = Figure(figsize=(7, 4.6), layout="constrained")
    for axes, law in zip(figure.subplots(2, 2).flat, found, strict=True):
        draw(axes, law, theme)
        axes.set_title(law.title)
    return figure


def masses(axes: Axes, law: Law, theme: Theme) -> None:
    """Shares of the values against their probabilities."""
    states = law.reference.states()
    bars(axes, law.samples, states, np.exp(law.reference.logpdf(states)), theme)


def hardened_masses(axes: Axes, law: Law, theme: Theme) -> None:
    """The same of hardened values."""
    hardened = law.torch.harden(torch.tensor(law.samples)).numpy()
    states = np.unique(hardened, axis=0)[::-1]
    bars(axes, hardened, states, law.reference.discrete_pmf(states), theme)


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
    """A number, the digits of a vector, or those of a matrix in rows."""
    if state.ndim == 2:
        return "\n".join(state_label(row) for row in state)
    return "".join(f"{entry:.3g}" for entry in np.atleast_1d(state))


def histogram(axes: Axes, law: Law, theme: Theme) -> None:
    """Samples and density of a number, atoms included."""
    support = law.spec.relax.support
    if isinstance(support, Interval):
        low, high = support.low, support.high
    else:
        low, high = np.quantile(law.samples, [0.001, 0.999])
    atoms = np.array(law.spec.density.atoms)
    between = law.samples[~np.isin(law.samples, atoms)]
    counts, edges = np.histogram(between, bins=60, range=(low, high))
    heights = counts / (SAMPLES * np.diff(edges))
    axes.stairs(heights, edges, fill=True, color=theme.samples)
    # Rounding may have brought a sample, but not the grid, to the end of the support.
    x = np.linspace(low, high, 802)[1:-1]
    axes.plot(x, np.exp(law.reference.logpdf(x)), color=theme.density)
    if len(atoms):
        width = (high - low) / 40
        shares = [np.mean(law.samples == atom) for atom in atoms]
        axes.bar(atoms, shares, width, color=theme.samples, edgecolor=theme.ink, linewidth=0.5)
        axes.plot(atoms, np.exp(law.reference.logpdf(atoms)), "o", color=theme.density)
    top = max(heights.max(), *np.exp(law.reference.logpdf(atoms)), 0)
    axes.set_ylim(0, min(1.15 * top, SPIKE / (high - low)))
    axes.set_ylabel("density")


# -- laws in the plane ---------------------------------------------------------------------------


def map_panels(found: list[Law], theme: Theme) -> Figure:
    """A panel for each law."""
    return planes([(law.title, plane(law)) for law in found], theme)


def plane(law: Law) -> Plane:
    """A triangle for the simplex, a square for the cube, free coordinates for all others.

    Of several rows it is that of the first, whose functions the other rows are.
    """
    support, chart = law.spec.relax.support, law.reference.chart
    of = support.of if isinstance(support, Independent) else support
    if isinstance(of, Simplex):

        def on_simplex(c: Array) -> Array:
            x = Simplex().to_chart(c)
            per_coordinate = law.reference.logpdf(chart.from_chart(x)) + chart.log_jacobian(x)
            return np.asarray(per_coordinate - Simplex().log_jacobian(x))

        return triangle(law.samples[:, 0] if law.spec.event_dim == 2 else law.samples, on_simplex)
    if isinstance(of, Interval):
        limits, labels = np.array([[of.low, of.high]] * 2), ("first entry", "second entry")
        return rectangle(law.samples, law.reference.logpdf, limits, labels)
    samples = chart.to_chart(law.samples)
    return rectangle(
        samples,
        lambda x: law.reference.logpdf(chart.from_chart(x)) + chart.log_jacobian(x),
        np.quantile(samples, [0.002, 0.998], axis=0).T,
        ("first coordinate", "second coordinate"),
    )


# -- gradients -----------------------------------------------------------------------------------


class GradientSignal:
    """Mean and spread of the derivative of a value in its parameter, over the noise."""

    noise_samples = 4_000
    points = 41

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        names = spec.parameterisations()[-1]
        self.parameter = next(name for name in names if name != "temperature")
        others = [name for name in names if name != self.parameter]
        self.varied = ("temperature",) if "temperature" in names else tuple(others)
        self.laws = laws_by(spec, names, self.varied)[: 4 if others else 1]

    @property
    def caption(self) -> str:
        """What is drawn."""
        of = {0: "the value", 1: "its first entry", 2: "the sum of the first column"}
        entry = "" if self.spec.event_dim == 0 else ", of which the first entry varies"
        return (
            f"Derivative of {of[self.spec.event_dim]} with respect to `{self.parameter}`{entry}, "
            "over the noise: its mean, and its standard deviation, which is the noise of the "
            "gradient."
        ) + (
            " Dashed: the derivative of the mean of the discrete variable."
            if any(exact is not None for *_, exact in self.curves)
            else ""
        )

    @cached_property
    def curves(self) -> list[tuple[Law, Array, Array, Array | None]]:
        """For each law the mean, the standard deviation, and what both are compared with."""
        return [(law, *self.derivatives(law)) for law in self.laws]

    @cached_property
    def grid(self) -> Array:
        """Values of the parameter."""
        declared = self.spec.parameters[self.parameter]
        low, high = declared.moderate or declared.typical or (-3.0, 3.0)
        return np.linspace(low, high, self.points)

    def derivatives(self, law: Law) -> tuple[Array, Array, Array | None]:
        """Of samples at every value of the parameter, mean and deviation; of the discrete mean."""
        torch.manual_seed(0)
        varied, made = self.along_the_grid(law, self.noise_samples)
        gradient = self.gradient(made.rsample(), varied)
        varied, made = self.along_the_grid(law, 1)
        try:
            exact = self.gradient(made.discrete.mean, varied)[0]
        except NotImplementedError:
            exact = None
        return gradient.mean(0), gradient.std(0), exact

    def along_the_grid(self, law: Law, count: int) -> tuple[torch.Tensor, Any]:
        """The parameter, for every sample its own, and the distributions that have it."""
        given = {name: torch.tensor(value) for name, value in law.parameters.items()}
        one = given[self.parameter]
        varied = one.expand(count, self.points, *one.shape).clone()
        first = varied[..., 0] if one.dim() else varied
        first.copy_(torch.tensor(self.grid).expand_as(first))
        given[self.parameter] = varied.requires_grad_()
        return varied, torch_class(self.spec)(**given, **self.spec.arguments, validate_args=False)

    def gradient(self, value: torch.Tensor, varied: torch.Tensor) -> Array:
        """The derivative of the number that is drawn, in the entry that varies."""
        if self.spec.event_dim:
            value = (value.sum(-2) if self.spec.event_dim == 2 else value)[..., 0]
        (gradient,) = torch.autograd.grad(value.sum(), varied)
        return np.asarray(gradient[..., 0] if gradient.dim() > 2 else gradient)

    def draw(self, theme: Theme) -> Figure:
        """Two panels, with a line for each law."""
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        axes = figure.subplots(1, 2)
        for (law, mean, deviation, exact), colour in zip(
            self.curves, theme.lines(len(self.curves)), strict=True
        ):
            label = law.title.replace("\n", ", ")
            axes[0].plot(self.grid, mean, color=colour, label=label)
            axes[1].plot(self.grid, deviation, color=colour)
            if exact is not None:
                axes[0].plot(self.grid, exact, "--", color=theme.ink, linewidth=0.9)
        axes[0].set(title="mean", xlabel=self.parameter)
        axes[1].set(title="standard deviation", xlabel=self.parameter)
        for panel in axes:
            low, high = panel.get_ylim()
            panel.set_ylim(min(0, low), max(high, 0.01))  # not the rounding of a constant
        if len(self.curves) > 1:
            columns = 4 if len(self.laws[0].title) < 20 else 2
            figure.legend(loc="outside lower center", ncols=columns)
        return figure


def laws_by(spec: Spec, names: tuple[str, ...], varied: tuple[str, ...]) -> list[Law]:
    """Four laws that differ in `varied` only."""
    base = place(spec, names, 0)
    if varied == ("temperature",):
        sets = [{"temperature": np.asarray(temperature)} for temperature in TEMPERATURES]
    else:
        sets = [{n: place(spec, names, start)[n] for n in varied} for start in range(4)]
    return [Law(spec, {**base, **changed}, varied) for changed in sets]


# -- maps between distributions ------------------------------------------------------------------


def bridge(spec: Spec) -> Picture:
    """A law, and what the directions of a map make of it, one after the other.

    The annotations of the functions say where a chain of laws can begin and how it goes on.
    """
    module = torch_class(spec)
    steps = [getattr(module, direction.function) for direction in spec.directions]
    steps = [step for step in steps if issubclass(argument(step), Distribution)]
    start = argument(steps[0])
    given = place(spec, tuple(n for n in spec.parameters if n in start.arg_constraints), 0)
    chain = [start(**{name: torch.tensor(value) for name, value in given.items()})]
    for step in steps:
        chain.append(step(chain[-1]))
    titles = [type(chain[0]).__name__, *(step.__name__ for step in steps)]
    torch.manual_seed(0)

    def drawn(law: Any) -> Plane:
        samples = law.sample((SAMPLES,)).numpy()
        return triangle(samples, lambda c: law.log_prob(torch.tensor(c)).numpy())

    return Picture(
        f"{spec.name}-law",
        f"What {spec.title} makes of a law",
        f"Colour: density of {SAMPLES:,} samples. Lines: that of `log_prob`; colours change where "
        "a line should run.",
        partial(planes, list(zip(titles, map(drawn, chain), strict=True))),
    )


def argument(function: Callable[..., Any]) -> Any:
    """The type of the first argument."""
    (first, *_) = inspect.signature(function).parameters
    found = get_type_hints(function)[first]
    return found if isinstance(found, type) else object


def main(name: str, target: Path) -> None:
    """Writes the law of one distribution, on white."""
    light, *_ = THEMES
    with light.apply():
        law_picture(load_spec(name)).draw(light).savefig(
            target, dpi=110, transparent=False, facecolor="white", metadata={"Software": None}
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
