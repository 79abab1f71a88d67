"""Names the fault behind a difference.

Most faults are named by comparison with a faulty reference, the others by where answers are wrong.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.checking.densities import mass, pasted
from relaxit_reference.checking.misreadings import CHANGES, misreadings
from relaxit_reference.checking.places import places
from relaxit_reference.checking.point_masses import at_point_masses, between_point_masses
from relaxit_reference.checking.probes import Answers, CandidateError, Half, reference
from relaxit_reference.domains import Array, Boolean, LogSimplex, OneHot, Simplex
from relaxit_reference.spec import load_spec

EXACT = (1e-9, 1e-12)
"""Relative and absolute tolerance for an agreement where no input is extreme."""


def explain(half: Half, answers: Answers, differs: list[NDArray[np.bool_]]) -> list[str]:
    """Sentences that name the fault, as far as it is known."""
    pairs = list(zip(answers, differs, strict=True))
    given = dict.fromkeys(tuple(probe.parameters) for probe, _ in answers)
    wrong = [n for n in given if any(d.any() for (p, _), d in pairs if tuple(p.parameters) == n)]
    lines = []
    if len(wrong) < len(given):
        lines.append(f"Only if the parameters are {' and '.join(wrong[0])}.")
    if _is_single(half, answers):
        return [
            *lines,
            "Its answers have single precision; they must have double precision.",
        ]
    same = [(a, d) for a, d in pairs if tuple(a[0].parameters) == wrong[0]]
    unit = [a for a, d in same if a[0].region == "unit"]
    named: list[str] = []
    if half.name == "log_prob" and half.spec.density.atoms:
        named = list(at_point_masses(half, unit, [d for a, d in same if a[0].region == "unit"]))
        lines += [*mass(half, unit, already=named), *named] if named else []
        unit = between_point_masses(half, unit)
    if any(half.differs(answer, probe).any() for probe, answer in unit):
        named = [*_misread(half, unit), *_other_variant(half, unit), *_changed(half, unit)][:1]
        if not named and half.name == "log_prob":
            named = list(pasted(half, unit))
        if not named or half.name == "log_prob":
            named += _not_invariant(half, [a for a, _ in pairs if a[0].region == "unit"])
        if half.name == "log_prob":
            named = [*mass(half, unit, already=named), *named]
    if not named and half.name == "relax" and half.spec.event_dim > 1:
        named = list(_rows(half, [a for a, _ in same if a[0].region in ("unit", "moderate")]))
    if not named and half.discrete:
        named = list(_hardened(half, [a for a, _ in same if a[0].region in ("unit", "moderate")]))
    if not named:
        named = list(places(half, [a for a, _ in same], [d for _, d in same]))
    return [*lines, *named]


def reduced(answer: Array, truth: Array) -> list[str]:
    """Says whether an answer of the wrong shape is a sum or mean, or lacks a sum."""
    if answer.ndim == truth.ndim + 1 and _equal(answer.sum(-1), truth):
        return ["The sum over the event dimension is missing."]
    axes: list[Any] = [None, *range(truth.ndim)]
    for axis in axes:
        over = "all samples and the batch" if axis is None else f"axis {axis}"
        for name, reduce in (("sum", np.sum), ("mean", np.mean)):
            if _equal(answer, reduce(truth, axis=axis)):
                return [f"It is the {name} of the right answers over {over}."]
    return []


def normalised_axis(half: Half, answer: Array) -> list[str]:
    """Says whether values have a sum of 1 over another axis than the last."""
    support = half.spec.relax.support
    if half.name == "relax" and isinstance(support, Simplex | LogSimplex | OneHot):
        for axis in range(answer.ndim - 1):
            if np.all(support.contains(np.moveaxis(answer, axis, -1))):
                return [f"Its values are normalised over axis {axis} instead of the last axis."]
    return []


def _equal(one: Any, other: Any) -> bool:
    return np.shape(one) == np.shape(other) and np.allclose(one, other, *EXACT)


def _is_single(half: Half, answers: Answers) -> bool:
    """Whether all answers are float32 numbers, and some of them are not whole."""
    numbers = np.concatenate([answer.ravel() for _, answer in answers])
    numbers = numbers[np.isfinite(numbers)]
    return bool(np.all(numbers.astype(np.float32) == numbers) and np.any(numbers % 1))


def _agrees(right: list[Array], found: list[Array], faulty: list[Array]) -> bool:
    """Whether all answers agree with a faulty reference, and the faulty reference is wrong."""
    return all(_equal(a, b) for a, b in zip(found, faulty, strict=True)) and not all(
        _equal(a, b) for a, b in zip(right, faulty, strict=True)
    )


def _misread(half: Half, unit: Answers) -> Iterator[str]:
    right = [half.truth(half.argument(probe), probe.parameters) for probe, _ in unit]
    found = [answer for _, answer in unit]
    for mistakes in zip(*(misreadings(half, probe) for probe, _ in unit), strict=True):
        try:
            faulty = [reference_answer() for _, reference_answer in mistakes]
        except ValueError:
            continue
        if _agrees(right, found, faulty):
            yield f"It is what the reference returns {mistakes[0][0]}."


def _other_variant(half: Half, unit: Answers) -> Iterator[str]:
    """Says whether it is another variant, such as the relaxed one in place of the hard one."""
    for other in load_spec(half.spec.name).with_variants():
        if other.arguments == half.spec.arguments:
            continue
        same_noise = other.noise.shape == half.spec.noise.shape
        if half.name == "relax" and not same_noise:
            continue
        right, found, faulty = [], [], []
        for probe, _ in unit:
            argument, distribution = probe.noise, reference(other, probe.parameters)
            if half.name == "log_prob":
                argument = distribution.relax(
                    argument if same_noise else distribution.noise(len(argument), 0)
                )
            right.append(half.truth(argument, probe.parameters))
            faulty.append(half.truth(argument, probe.parameters, other))
            try:
                found.append(half.answer(argument, probe.parameters))
            except CandidateError:
                return
        if _agrees(right, found, faulty):
            kind = "discrete" if other.relax.support.discrete else "relaxed"
            of = "" if half.name == "relax" else "the log density of "
            yield f"It is {of}the {kind} value: the answer of {other}, not of {half.spec}."


def _changed(half: Half, unit: Answers) -> Iterator[str]:
    """Says whether a function was applied to the right answer, or a last step is missing."""
    found = [answer for _, answer in unit]
    right = [half.truth(half.argument(probe), probe.parameters) for probe, _ in unit]
    for form, change in CHANGES.items():
        if _agrees(right, found, [change(r) for r in right]):
            always = f"It is always {form}."
            yield (
                f"It is {form.format('x')}, where x is the right answer." if "{" in form else always
            )
    if half.name == "relax" and half.spec.event_dim:
        shifts = [a - r for a, r in zip(found, right, strict=True)]
        ratios = [a / r for a, r in zip(found, right, strict=True)]
        for kind, rest in (("up to a constant", shifts), ("up to a factor", ratios)):
            if all(np.allclose(x, x[..., :1], *EXACT) for x in rest):
                yield f"It is right {kind} in each event: the last step must normalise it."


def _hardened(half: Half, unit: Answers) -> Iterator[str]:
    """Says how the relaxed values became the wrong discrete values."""
    distributions = [reference(half.spec, probe.parameters) for probe, _ in unit]
    soft = [
        distribution.relaxed(p.noise)
        for distribution, (p, _) in zip(distributions, unit, strict=True)
    ]
    if isinstance(half.spec.relax.support, Boolean):
        values = np.concatenate([s.ravel() for s in soft])
        found = np.concatenate([answer.ravel() for _, answer in unit])
        ones, zeros = values[found == 1], values[found == 0]
        if not (len(ones) and len(zeros)):
            yield "It returns the same for every noise."
        elif zeros.max() < ones.min():
            ends = f"between {zeros.max():.3g} and {ones.min():.3g}"
            yield f"The relaxed value is hardened at a threshold {ends}."
        elif ones.max() < zeros.min():
            yield "0 and 1 are exchanged."
    if isinstance(half.spec.relax.support, OneHot):
        if not all(np.all(half.spec.relax.support.contains(answer)) for _, answer in unit):
            yield f"Its values are not {half.spec.relax.support.describe()}."
        lowest = [
            distribution.harden(-s) for distribution, s in zip(distributions, soft, strict=True)
        ]
        if all(_equal(a, answer) for a, (_, answer) in zip(lowest, unit, strict=True)):
            yield "It chooses the category with the smallest relaxed value, not the largest."


def _rows(half: Half, unit: Answers) -> Iterator[str]:
    """Says which rows are right, or that the order of the rows is wrong."""
    truths = [half.truth(probe.noise, probe.parameters) for probe, _ in unit]
    pairs = [(a, t) for (_, a), t in zip(unit, truths, strict=True)]
    rows = range(truths[0].shape[-2])
    right = [j for j in rows if all(_equal(a[..., j, :], t[..., j, :]) for a, t in pairs)]
    if right:
        others = ", ".join(str(j) for j in rows if j not in right)
        yield f"Row {', '.join(map(str, right))} is right, and row {others} is not."
    elif all(_equal(a.sum(-2), t.sum(-2)) for a, t in pairs):
        yield "Its rows are right, but in another order."
    support = half.spec.relax.support
    if not all(np.all(support.contains(answer)) for _, answer in unit):
        yield f"Its values are not {support.describe()}."
    if half.discrete:
        distributions = [reference(half.spec, probe.parameters) for probe, _ in unit]
        soft = [
            distribution.relaxed(p.noise)
            for distribution, (p, _) in zip(distributions, unit, strict=True)
        ]
        least = [np.eye(s.shape[-1])[np.argmin(s[..., 0, :], axis=-1)] for s in soft]
        if all(_equal(first, a[..., 0, :]) for first, (a, _) in zip(least, pairs, strict=True)):
            yield "It first chooses the category with the smallest relaxed value, not the largest."


def _not_invariant(half: Half, unit: Answers) -> Iterator[str]:
    """A sentence for each invariance that the specification states and the candidate lacks."""
    for claim in half.spec.properties:
        name = claim.parameter or ""
        for probe, answer in unit:
            if (claim.kind, claim.map) != ("invariance", "shift") or name not in probe.parameters:
                continue
            shifted = {**probe.parameters, name: probe.parameters[name] + 1}
            change = np.abs(half.answer(half.argument(probe), shifted) - answer)
            if not np.allclose(change, 0, atol=1e-9):
                size = f"{np.max(change):.3g}"
                yield f"It changes by {size} when 1 is added to all {name}, and must not change."
                break
