"""Finds where a candidate is wrong: in tails, at low temperatures, by clamped numbers."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.checking.probes import Answers, CandidateError, Half, Probe
from relaxit_reference.domains import Array, CategoryLogits, Domain, Interval, Real, Simplex

SHARE = 0.5
"""A bound describes where the faults are if at least this share of right answers lies beyond it."""


def places(half: Half, answers: Answers, differs: list[NDArray[np.bool_]]) -> Iterator[str]:
    """Says what the differences have in common, for one set of parameters.

    Args:
        half: the function that is wrong.
        answers: its answers.
        differs: where each answer is wrong.
    """
    wrong = np.concatenate([flags.ravel() for flags in differs])
    columns = [
        _features(half, probe, d.shape) for (probe, _), d in zip(answers, differs, strict=True)
    ]
    best, sentence = SHARE, ""
    for words in columns[0]:
        column = np.concatenate([features[words].ravel() for features in columns])
        bad, good = column[wrong], column[~wrong]
        for side, limit in (("at most", bad.max()), ("at least", bad.min())):
            beyond = good > limit if side == "at most" else good < limit
            if good.size and np.mean(beyond) > best:
                best = float(np.mean(beyond))
                sentence = (
                    f"All differences lie where {words} is {side} {limit:.3g}; "
                    f"{beyond.sum():,} of {good.size:,} right answers lie beyond."
                )
    if sentence:
        yield sentence
    results = list(_results(half, answers, differs))
    yield from results
    if results or half.discrete:
        return
    for (probe, answer), flags in zip(answers, differs, strict=True):
        if flags.any():
            yield from _clamped(half, probe, answer, flags)
            return


def _features(half: Half, probe: Probe, shape: tuple[int, ...]) -> dict[str, Array]:
    """Numbers that describe each input, of shape `(samples, *batch)`."""
    spec, given = half.spec, half.argument(probe)
    domains = {name: spec.parameters[name].domain for name in probe.parameters}
    domains[half.given] = Real() if half.name == "relax" else spec.relax.support
    found = {}
    for name, value in {**probe.parameters, half.given: given}.items():
        domain, x = domains[name], value
        events = {"noise": len(spec.noise.shape), "value": spec.event_dim}.get(
            name, domain.event_dim
        )
        axes = tuple(range(x.ndim - events, x.ndim))
        if isinstance(domain, Interval):
            words = f"the distance of {name} from {domain.low:g} and {domain.high:g}"
            found[words] = np.minimum(x - domain.low, domain.high - x).min(axis=axes)
        elif axes:
            found[f"the smallest entry of {name}"] = x.min(axis=axes)
            found[f"the largest entry of {name}"] = x.max(axis=axes)
        else:
            found[name] = x
            found[f"|{name}|"] = np.abs(x)
    return {words: np.broadcast_to(feature, shape) for words, feature in found.items()}


def _results(half: Half, answers: Answers, differs: list[NDArray[np.bool_]]) -> Iterator[str]:
    pairs = list(zip(answers, differs, strict=True))
    found = np.concatenate([answer[flags].ravel() for (_, answer), flags in pairs])
    truths = [half.truth(half.argument(probe), probe.parameters) for (probe, _), _ in pairs]
    right = np.concatenate([t[flags].ravel() for t, (_, flags) in zip(truths, pairs, strict=True)])
    numbers = np.isfinite(found)
    lost = ~numbers & (np.isfinite(right) | np.isnan(found))
    if lost.any():
        yield (
            f"{lost.sum():,} of the answers are NaN or infinite and must not be: a step before "
            "them overflows, or is 0 / 0."
        )
        return
    different = found[numbers & ~np.isclose(found, right, 1e-6, 0)]
    ends, counts = np.unique(different, return_counts=True)
    ends = ends[counts > max(5, different.size / 5)]
    if ends.size and not half.discrete:
        names = " or ".join(f"{end:.3g}" for end in ends)
        yield f"There it often returns {names}: its result is clamped."


def _clamped(half: Half, probe: Probe, answer: Array, flags: NDArray[np.bool_]) -> Iterator[str]:
    """Moves each input further out in turn. A clamped input makes no difference."""
    spec = half.spec
    domains = {name: spec.parameters[name].domain for name in probe.parameters}
    domains[half.given] = Real() if half.name == "relax" else spec.relax.support
    before = half.truth(half.argument(probe), probe.parameters)
    for name, domain in domains.items():
        if name in probe.parameters:
            outer = {
                **probe.parameters,
                name: _outward(domain, probe.parameters[name], domain.event_dim),
            }
            moved = replace(probe, parameters=outer)
        else:
            further = _outward(domain, half.argument(probe), spec.event_dim)
            moved = replace(probe, noise=further, value=further)
        try:
            after = half.truth(half.argument(moved), moved.parameters)
            then = half.answer(half.argument(moved), moved.parameters)
        except (CandidateError, ValueError):
            continue
        responds = half.any_of_event(~np.isclose(before, after, 1e-9, 0))
        still = ~half.any_of_event((answer != then) | ~np.isfinite(answer))
        if np.any(flags & responds & still):
            yield f"There it does not change when {name} moves further out: {name} is clamped."
            return


def _outward(domain: Domain, x: Array, event_dim: int) -> Array:
    """`x` with the most extreme number of each event moved towards the ends of the domain."""
    if isinstance(domain, Interval):
        low, high = (x - domain.low) / 2, (domain.high - x) / 2
        return np.where(low < high, domain.low + low, domain.high - high)
    if isinstance(domain, Simplex):
        return np.where(x == x.min(axis=-1, keepdims=True), x / 2, x)
    if isinstance(domain, CategoryLogits):
        finite = np.where(np.isfinite(x), x, np.inf)
        return np.where(x == finite.min(axis=-1, keepdims=True), x - 20, x)
    if isinstance(domain, Real):
        events = tuple(range(x.ndim - event_dim, x.ndim))
        return np.where(np.abs(x) == np.abs(x).max(axis=events, keepdims=True), 1.5 * x, x)
    return x
