"""Finds what is wrong with a log density: its base measure, a constant, its family, its mass."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations

import numpy as np
from scipy.special import gammaln, logsumexp

from relaxit_reference.checking.probes import (
    Answers,
    CandidateError,
    Half,
    Probe,
    has_chart,
    reference,
)
from relaxit_reference.comparison.messages import literal
from relaxit_reference.comparison.quadrature import total_mass
from relaxit_reference.domains import (
    Above,
    Array,
    Below,
    Independent,
    Interval,
    LogSimplex,
    Positive,
    Real,
    Simplex,
)
from relaxit_reference.spec import Spec


def pasted(half: Half, unit: Answers) -> Iterator[str]:
    """Says whether the base measure is another, a constant is missing, or the family is another."""
    offsets = [a - half.truth(probe.value, probe.parameters) for probe, a in unit]
    options = [_jacobians(half.spec, probe) for probe, _ in unit]
    for jacobian in zip(*options, strict=True):
        rest = [o - added for o, (_, added) in zip(offsets, jacobian, strict=True)]
        if not all(np.allclose(r, r[:1], 1e-9, 1e-9) for r in rest):
            continue
        if jacobian[0][0]:
            yield jacobian[0][0]
        if not all(np.allclose(r, 0, atol=1e-9) for r in rest):
            words = _recognise([r[0] for r in rest], [_constants(half.spec, p) for p, _ in unit])
            size = f"{literal(rest[-1][0])} at {_words(unit[-1][0].parameters)}"
            yield (
                "It is wrong by a term that does not depend on the value: " + (words or size) + "."
            )
        return
    yield from _family(half, unit)


def _family(half: Half, unit: Answers) -> Iterator[str]:
    """Says whether it is a Beta or Dirichlet density (linear in logarithms) or a normal density."""
    support, (probe, answer) = half.spec.relax.support, unit[-1]
    distribution = reference(half.spec, probe.parameters)
    if not has_chart(distribution):
        return
    # The samples of the first batch element.
    zeros = (0,) * (answer.ndim - 1)
    value = probe.value.reshape(len(answer), -1, *probe.value.shape[answer.ndim :])[:, 0]
    found = answer.reshape(len(answer), -1)[:, 0]
    right = half.truth(probe.value, probe.parameters).reshape(len(answer), -1)[:, 0]
    t = distribution.chart.to_chart(value)
    jacobian, one = distribution.chart.log_jacobian(t), np.ones((len(t), 1))
    if isinstance(support, Interval | Simplex):
        logs = np.log(value) if isinstance(support, Simplex) else _log_interval(support, value)
        features = np.concatenate([logs, one], axis=-1)
        if _fits(features, found) and not _fits(features, right):
            concentration = np.linalg.lstsq(features, found, rcond=None)[0][:-1] + 1
            name = "Dirichlet" if isinstance(support, Simplex) else "Beta"
            numbers = ", ".join(f"{a:.3g}" for a in concentration)
            at = _words(probe.element(half.spec, (0, *zeros)))
            words = f"It is the density of a {name} distribution"
            yield f"{words}: its concentration is {numbers} at {at}."
            return
    rows, columns = np.triu_indices(t.shape[-1])
    products = t[:, rows] * t[:, columns]
    features = np.concatenate([t, products, one], axis=-1)
    if _fits(features, found + jacobian) and not _fits(features, right + jacobian):
        yield "It is the density of a normal distribution in the coordinates of the support."


def _log_interval(support: Interval, value: Array) -> Array:
    return np.stack([np.log(value - support.low), np.log(support.high - value)], axis=-1)


def _fits(features: Array, found: Array) -> bool:
    if not (np.all(np.isfinite(features)) and np.all(np.isfinite(found))):
        return False
    fitted = features @ np.linalg.lstsq(features, found, rcond=None)[0]
    return bool(np.allclose(fitted, found, 1e-7, 1e-7))


def mass(half: Half, unit: Answers, already: list[str]) -> Iterator[str]:
    """Says what the candidate's density adds up to, for one distribution."""
    probe = unit[0][0]
    batch = reference(half.spec, probe.parameters).batch_shape
    parameters = probe.element(half.spec, (0,) * (1 + len(batch)))
    distribution = reference(half.spec, parameters)
    if not half.spec.discrete and distribution.chart.chart_dim(distribution.event_shape) > 2:
        return
    try:
        total = float(total_mass(distribution, lambda value: half.answer(value, parameters)))
    except (CandidateError, NotImplementedError):
        return
    adds_up = "Its probabilities add up to" if half.spec.discrete else "Its density integrates to"
    if not np.isclose(total, 1, atol=1e-6):
        yield f"{adds_up} {total:.3g} instead of 1, for {_words(parameters)}."
    elif not already:
        yield f"{adds_up} 1, so it may belong to another distribution."


def _jacobians(spec: Spec, probe: Probe) -> Iterator[tuple[str, Array]]:
    """Sentences on the base measure, and the term that each fault adds to a log density."""
    support, distribution = spec.relax.support, reference(spec, probe.parameters)
    yield "", np.zeros(())
    if not has_chart(distribution):
        return
    coordinates = distribution.chart.to_chart(probe.value)
    own = distribution.chart.log_jacobian(coordinates)
    each = support.of if isinstance(support, Independent) else support
    if isinstance(each, Interval | Simplex):
        other = "logit" if isinstance(each, Interval) else "logarithm"
        missing = f"It is the density of the {other} of the value: the Jacobian is missing."
        yield missing, own
        yield "The Jacobian of the value is counted twice.", -own
    if isinstance(support, LogSimplex):
        words = "It is the density of exp(value): the Jacobian is missing."
        yield words, -Simplex().log_jacobian(coordinates)
    if isinstance(support, Real):
        words = "It is the density of {}(value): the Jacobian is missing."
        yield words.format("sigmoid"), -Interval(0.0, 1.0).log_jacobian(coordinates)
        yield words.format("exp"), -Positive().log_jacobian(coordinates)


def _constants(spec: Spec, probe: Probe) -> dict[str, Array]:
    """Terms of log densities that do not depend on the value, `(*batch)`, with words for each."""
    distribution = reference(spec, probe.parameters)
    categories = distribution.event_shape[-1] if spec.event_dim else 1
    zero = np.zeros(distribution.batch_shape)
    terms = {"log(2 pi) / 2": zero + np.log(2 * np.pi) / 2, "log(2)": zero + np.log(2)}
    multiples: dict[str, float] = {"": 1, "2 ": 2, "1/2 ": 0.5}
    if spec.event_dim:
        multiples |= {"(K - 1) ": categories - 1, "K ": categories}
        terms |= {"log Gamma(K)": zero + gammaln(categories), "log(K)": zero + np.log(categories)}
    for name, value in probe.parameters.items():
        domain = spec.parameters[name].domain
        for below in probe.parameters if isinstance(domain, Above) else ():
            if isinstance(spec.parameters[below].domain, Below):
                width = np.log(value - probe.parameters[below])
                terms[f"log({name} - {below})"] = zero + width
        for words, multiple in multiples.items():
            if isinstance(domain, Positive):
                terms[f"{words}log({name})"] = zero + multiple * np.log(value)
            if domain.event_dim == 1:
                positive = isinstance(domain, Simplex) or domain == Independent(Positive())
                logs = np.log(value) if positive else value
                terms[f"{words}logsumexp({name})"] = zero - multiple * logsumexp(logs, axis=-1)
                terms[f"{words}sum(log {name})"] = zero + multiple * logs.sum(-1)
    return terms


def _recognise(offsets: list[Array], terms: list[Mapping[str, Array]]) -> str:
    """Names the one or two terms that explain the offset of every probe, or returns ""."""
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


def _words(parameters: Mapping[str, Array]) -> str:
    return ", ".join(f"{name}={literal(np.round(v, 3))}" for name, v in parameters.items())
