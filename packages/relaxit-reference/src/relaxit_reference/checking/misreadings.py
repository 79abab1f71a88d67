"""Plausible faults, each as a change of the reference.

A candidate that agrees with the changed reference has the fault.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import expit, logit, ndtri, softmax

from relaxit_reference.checking.probes import Half, Parameters, Probe
from relaxit_reference.domains import Array, Matrix, Positive
from relaxit_reference.spec import Spec

CHANGES: dict[str, Callable[[Array], Array]] = {
    "1 / {}": np.reciprocal,
    "{}**2": np.square,
    "sqrt({})": np.sqrt,
    "-{}": np.negative,
    "exp({})": np.exp,
    "log({})": np.log,
    "sigmoid({})": lambda x: np.asarray(expit(x)),
    "1 - {}": lambda x: 1 - x,
    "1 + {}": lambda x: 1 + x,
    "2 {}": lambda x: 2 * x,
    "{} / 2": lambda x: x / 2,
    "1": np.ones_like,
    "0": np.zeros_like,
    "1/2": lambda x: np.full_like(x, 0.5),
}

FROM_UNIFORM: dict[str, Callable[[Array], Array]] = {
    "gumbel": lambda u: np.asarray(-np.log(-np.log(u))),
    "logistic": lambda u: np.asarray(logit(u)),
    "normal": lambda u: np.asarray(ndtri(u)),
}


def misreadings(half: Half, probe: Probe) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Words for each way to mistake an argument, with a function that gives the faulty answer.

    The function raises ValueError if the mistake leads outside the domain.
    """
    argument = half.argument(probe)
    for words, parameters in _parameters(half.spec, probe.parameters):
        yield words, partial(half.truth, argument, parameters)
    if half.name == "relax":
        for words, noise in _noise(half.spec, probe):
            yield words, partial(half.truth, noise, probe.parameters)


def _parameters(spec: Spec, parameters: Parameters) -> Iterator[tuple[str, dict[str, Any]]]:
    for group in spec.exclusive:
        for name in set(group) & set(parameters):
            for other in group:
                rest = {k: v for k, v in parameters.items() if k != name}
                if other != name:
                    yield f"with {name} used as {other}", {**rest, other: parameters[name]}
                    for form in ("log({})", "exp({})", "sigmoid({})"):
                        words = f"with {form.format(name)} used as {other}"
                        yield words, {**rest, other: CHANGES[form](parameters[name])}
    for name, value in parameters.items():
        for form, change in CHANGES.items():
            words = f"with {form.format(name)} in place of {name}"
            yield words, {**parameters, name: change(value)}
        if isinstance(spec.parameters[name].domain, Matrix):
            identity = np.broadcast_to(np.eye(value.shape[-1]), value.shape)
            yield f"with the identity in place of {name}", {**parameters, name: identity}
        if spec.parameters[name].domain.event_dim == 1:
            words = f"with {{}} in place of {name}"
            yield words.format(f"softmax({name})"), {**parameters, name: softmax(value, axis=-1)}
            share = np.full_like(value, 1 / value.shape[-1])
            yield words.format("1/K"), {**parameters, name: share}
    for one, other in combinations(parameters, 2):
        words = f"with {one} and {other} exchanged"
        yield words, {**parameters, one: parameters[other], other: parameters[one]}


def _noise(spec: Spec, probe: Probe) -> Iterator[tuple[str, Array]]:
    yield "with the noise negated", -probe.noise
    if spec.noise.distribution in FROM_UNIFORM:
        kind = spec.noise.distribution
        words = f"with {kind} noise made again from the noise, as if the noise were uniform"
        yield words, FROM_UNIFORM[kind](probe.noise)
    yield "with the noise ignored", np.zeros_like(probe.noise)
    if len(spec.noise.shape) > 1:
        yield "with the rows of the noise in reverse order", probe.noise[..., ::-1, :]
        mean = np.mean(probe.noise, axis=-2, keepdims=True)
        yield (
            "with the mean of the rows in every row of the noise",
            np.broadcast_to(mean, probe.noise.shape),
        )
    for name, value in probe.parameters.items():
        if isinstance(spec.parameters[name].domain, Positive):
            scale = value.reshape(value.shape + (1,) * len(spec.noise.shape))
            yield f"with the noise not divided by {name}", probe.noise * scale
            yield f"with the noise divided by {name} twice", probe.noise / scale
