"""Draws the gradient of samples: its mean over the noise, and its spread."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure

from relaxit_reference import Spec
from relaxit_reference.domains import Array

from .drawn_distributions import TEMPERATURES, DrawnDistribution, place, torch_class
from .picture import Picture
from .themes import Theme


def gradient_picture(spec: Spec) -> Picture | None:
    """The picture of the gradient of samples; None if they have no gradient."""
    if spec.kind == "map" or spec.relax.gradient == "none":
        return None
    signal = GradientSignal(spec)
    return Picture(f"{spec.name}-gradient", f"Gradients of {spec}", signal.caption, signal.draw)


class GradientSignal:
    """Mean and spread, over the noise, of the derivative of a value in a parameter."""

    noise_samples = 4_000
    points = 41

    def __init__(self, spec: Spec) -> None:
        self.spec = spec
        names = spec.parameterisations()[-1]
        self.parameter = next(name for name in names if name != "temperature")
        others = [name for name in names if name != self.parameter]
        self.varied = ("temperature",) if "temperature" in names else tuple(others)
        self.distributions = distributions_by(spec, names, self.varied)[: 4 if others else 1]

    @property
    def caption(self) -> str:
        """The caption of the picture."""
        of = {0: "the value", 1: "the first entry of the value", 2: "the sum of the first column"}
        entry = "" if self.spec.event_dim == 0 else ", whose first entry varies"
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
    def curves(self) -> list[tuple[DrawnDistribution, Array, Array, Array | None]]:
        """Per distribution: mean, standard deviation, and the exact derivative if there is one."""
        return [
            (distribution, *self.derivatives(distribution)) for distribution in self.distributions
        ]

    @cached_property
    def grid(self) -> Array:
        """The values of the parameter at which the derivative is computed."""
        declared = self.spec.parameters[self.parameter]
        low, high = declared.moderate or declared.typical or (-3.0, 3.0)
        return np.linspace(low, high, self.points)

    def derivatives(self, distribution: DrawnDistribution) -> tuple[Array, Array, Array | None]:
        """At each value of the parameter: mean and deviation over samples, and the exact one."""
        torch.manual_seed(0)
        varied, made = self.along_the_grid(distribution, self.noise_samples)
        gradient = self.gradient(made.rsample(), varied)
        varied, made = self.along_the_grid(distribution, 1)
        try:
            exact = self.gradient(made.discrete.mean, varied)[0]
        except NotImplementedError:
            exact = None
        return gradient.mean(0), gradient.std(0), exact

    def along_the_grid(
        self, distribution: DrawnDistribution, count: int
    ) -> tuple[torch.Tensor, Any]:
        """A copy of the parameter for each sample, and the distributions with these parameters."""
        given = {name: torch.tensor(value) for name, value in distribution.parameters.items()}
        one = given[self.parameter]
        varied = one.expand(count, self.points, *one.shape).clone()
        first = varied[..., 0] if one.dim() else varied
        first.copy_(torch.tensor(self.grid).expand_as(first))
        given[self.parameter] = varied.requires_grad_()
        return varied, torch_class(self.spec)(**given, **self.spec.arguments, validate_args=False)

    def gradient(self, value: torch.Tensor, varied: torch.Tensor) -> Array:
        """The derivative of the drawn number with respect to the entry that varies."""
        if self.spec.event_dim:
            value = (value.sum(-2) if self.spec.event_dim == 2 else value)[..., 0]
        (gradient,) = torch.autograd.grad(value.sum(), varied)
        return np.asarray(gradient[..., 0] if gradient.dim() > 2 else gradient)

    def draw(self, theme: Theme) -> Figure:
        """Two panels, with a line for each distribution."""
        figure = Figure(figsize=(7, 2.9), layout="constrained")
        axes = figure.subplots(1, 2)
        for (distribution, mean, deviation, exact), colour in zip(
            self.curves, theme.lines(len(self.curves)), strict=True
        ):
            label = distribution.title.replace("\n", ", ")
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
            columns = 4 if len(self.distributions[0].title) < 20 else 2
            figure.legend(loc="outside lower center", ncols=columns)
        return figure


def distributions_by(
    spec: Spec, names: tuple[str, ...], varied: tuple[str, ...]
) -> list[DrawnDistribution]:
    """Four distributions that differ only in `varied`."""
    base = place(spec, names, 0)
    if varied == ("temperature",):
        sets = [{"temperature": np.asarray(temperature)} for temperature in TEMPERATURES]
    else:
        sets = [{n: place(spec, names, start)[n] for n in varied} for start in range(4)]
    return [DrawnDistribution(spec, {**base, **changed}, varied) for changed in sets]
