"""Draws the gradient of samples: its mean over the noise, and its spread."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from relaxit_reference import Spec
from relaxit_reference.domains import Array

from .drawn_distributions import TEMPERATURES, Law, place, torch_class
from .picture import Picture
from .themes import Theme


def gradient_picture(spec: Spec) -> Picture | None:
    """The gradient of samples, where they have one."""
    if spec.kind == "map" or spec.relax.gradient == "none":
        return None
    signal = GradientSignal(spec)
    return Picture(f"{spec.name}-gradient", f"Gradients of {spec}", signal.caption, signal.draw)


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
        of = {0: "the value", 1: "the first entry of the value", 2: "the sum of the first column"}
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
