"""Plausible faults as changes of the reference: a candidate that agrees with one has that fault."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import combinations
from typing import Any

import numpy as np
from scipy.special import expit, gammaln, logit, logsumexp, ndtri, softmax

from relaxit_reference.domains import Array, Interval, LogSimplex, Positive, Real, Simplex
from relaxit_reference.spec import Spec
from relaxit_reference.testing.probes import Half, Parameters, Probe, reference

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
}

FROM_UNIFORM: dict[str, Callable[[Array], Array]] = {
    "gumbel": lambda u: np.asarray(-np.log(-np.log(u))),
    "logistic": lambda u: np.asarray(logit(u)),
    "normal": lambda u: np.asarray(ndtri(u)),
}


def misreadings(half: Half, probe: Probe) -> Iterator[tuple[str, Callable[[], Array]]]:
    """Words for each way of mistaking an argument, and what the reference then returns.

    The function raises a ValueError if the mistake leads outside the domain.
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
        if spec.parameters[name].domain.event_dim == 1:
            words = f"with softmax({name}) in place of {name}"
            yield words, {**parameters, name: softmax(value, axis=-1)}
    for one, other in combinations(parameters, 2):
        words = f"with {one} and {other} exchanged"
        yield words, {**parameters, one: parameters[other], other: parameters[one]}


def _noise(spec: Spec, probe: Probe) -> Iterator[tuple[str, Array]]:
    yield "with the noise negated", -probe.noise
    if spec.noise.law in FROM_UNIFORM:
        words = f"with {spec.noise.law} noise formed again from the noise, as if that were uniform"
        yield words, FROM_UNIFORM[spec.noise.law](probe.noise)
    yield "with the noise ignored", np.zeros_like(probe.noise)
    for name, value in probe.parameters.items():
        if isinstance(spec.parameters[name].domain, Positive):
            scale = value.reshape(value.shape + (1,) * len(spec.noise.shape))
            yield f"with the noise not divided by {name}", probe.noise * scale
            yield f"with the noise divided by {name} twice", probe.noise / scale


def jacobians(spec: Spec, value: Array) -> Iterator[tuple[str, Array]]:
    """Sentences on the base measure, and what each fault adds to a log density."""
    support = spec.relax.support
    yield "", np.zeros(())
    if support.discrete:
        return
    coordinates = support.to_chart(value)
    own = support.log_jacobian(coordinates)
    if isinstance(support, Interval | Simplex):
        other = "logit" if isinstance(support, Interval) else "logarithm"
        missing = f"It is the density of the {other} of the value: the Jacobian is missing."
        yield missing, own
        yield "The Jacobian of the value is there twice.", -own
    if isinstance(support, LogSimplex):
        words = "It is the density of exp(value): the Jacobian is missing."
        yield words, -Simplex().log_jacobian(coordinates)
    if isinstance(support, Real):
        words = "It is the density of {}(value): the Jacobian is missing."
        yield words.format("sigmoid"), -Interval(0.0, 1.0).log_jacobian(coordinates)
        yield words.format("exp"), -Positive().log_jacobian(coordinates)


def constants(spec: Spec, probe: Probe) -> dict[str, Array]:
    """Terms of log densities that do not depend on the value, `(*batch)`, by the words for them."""
    law = reference(spec, probe.parameters)
    categories = law.event_shape[-1] if spec.event_dim else 1
    zero = np.zeros(law.batch_shape)
    terms = {"log(2 pi) / 2": zero + np.log(2 * np.pi) / 2, "log(2)": zero + np.log(2)}
    multiples: dict[str, float] = {"": 1, "2 ": 2, "1/2 ": 0.5}
    if spec.event_dim:
        multiples |= {"(K - 1) ": categories - 1, "K ": categories}
        terms |= {"log Gamma(K)": zero + gammaln(categories), "log(K)": zero + np.log(categories)}
    for name, value in probe.parameters.items():
        domain = spec.parameters[name].domain
        for words, multiple in multiples.items():
            if isinstance(domain, Positive):
                terms[f"{words}log({name})"] = zero + multiple * np.log(value)
            if domain.event_dim == 1:
                logs = np.log(value) if isinstance(domain, Simplex) else value
                terms[f"{words}logsumexp({name})"] = zero - multiple * logsumexp(logs, axis=-1)
                terms[f"{words}sum(log {name})"] = zero + multiple * logs.sum(-1)
    return terms


def recognise(offsets: list[Array], terms: list[Mapping[str, Array]]) -> str:
    """The one or two terms whose absence or excess makes up the offset of every probe, or ""."""
    names = [name for name in terms[0] if any(np.any(t[name]) for t in terms)]
    signs = {"is missing": -1.0, "is one too many": 1.0, "has the wrong sign": -2.0}
    weights = {f"{name} {words}": {name: sign} for name in names for words, sign in signs.items()}
    for one, other in combinations(list(weights), 2):
        if weights[one].keys() != weights[other].keys():
            weights[f"{one}, {other}"] = {**weights[one], **weights[other]}
    for words, weight in weights.items():
        if all(
            np.allclose(offset, sum(w * term[name] for name, w in weight.items()), 1e-9, 1e-9)
            for offset, term in zip(offsets, terms, strict=True)
        ):
            return words
    return ""
