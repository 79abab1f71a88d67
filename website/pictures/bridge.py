"""Draws a map between distributions: a distribution, and its images under the map."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any, get_type_hints

import torch
from torch.distributions import Distribution

from relaxit_reference import Spec

from .drawn_distributions import SAMPLES, place, torch_class
from .picture import Picture
from .planes import Plane, planes, triangle


def bridge(spec: Spec) -> Picture:
    """A distribution, and its images under the directions of a map, one after the other.

    The annotations of the functions say with which distribution the chain begins.
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

    def drawn(distribution: Any) -> Plane:
        samples = distribution.sample((SAMPLES,)).numpy()
        return triangle(samples, lambda c: distribution.log_prob(torch.tensor(c)).numpy())

    return Picture(
        f"{spec.name}-samples",
        f"A distribution and its images under {spec.title}",
        f"Colour: density of {SAMPLES:,} samples. Lines: the density by `log_prob`. The colours "
        "change where a line should run.",
        partial(planes, list(zip(titles, map(drawn, chain), strict=True))),
    )


def argument(function: Callable[..., Any]) -> Any:
    """The type of the first argument."""
    (first, *_) = inspect.signature(function).parameters
    found = get_type_hints(function)[first]
    return found if isinstance(found, type) else object
