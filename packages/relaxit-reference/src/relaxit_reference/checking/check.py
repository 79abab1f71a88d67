"""Examines an implementation of a distribution and names its faults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.checking.diagnosis import explain, normalised_axis, reduced
from relaxit_reference.checking.probes import (
    Answers,
    CandidateError,
    Half,
    Probe,
    probes,
    reference,
)
from relaxit_reference.checking.report import Difference, Report
from relaxit_reference.comparison.messages import literal, reproduction
from relaxit_reference.domains import Array
from relaxit_reference.spec import Spec, load_spec


def check_distribution(candidate: Any, spec: Spec | str, *, seed: int = 0) -> Report:
    """Compares an implementation with the reference and says what is wrong with it.

    Args:
        candidate: an object with functions `relax(noise, **parameters)` and
            `log_prob(value, **parameters)`, or a pair of the two. One of them may be missing or
            None. They take float64 arrays, with the parameters by their names in the specification
            (`temperature=...` with `probs=...` or `logits=...`), and return arrays or what NumPy
            can convert. Leading dimensions of noise and values are sample dimensions.
        spec: a specification, one of its variants, or a name.
        seed: the seed of the inputs. The same seed gives the same report.

    Returns:
        A report, which is true if there is no difference. An exception in the candidate is a
        difference.

    Raises:
        TypeError: the candidate has neither function.
        SpecError: there is no specification of this name.

    Example:
        >>> import numpy as np
        >>> from relaxit_reference import check_distribution
        >>> def relax(noise, temperature, probs=None, logits=None):
        ...     log_odds = np.log(probs / (1 - probs)) if logits is None else logits
        ...     return 1 / (1 + np.exp(-(log_odds + noise) * temperature))
        >>> report = check_distribution((relax, None), "binary_concrete")
        >>> report.passed
        False
        >>> print(report.differences[0].message.splitlines()[-1])
        It is what the reference returns with 1 / temperature in place of temperature.
    """
    spec = load_spec(spec) if isinstance(spec, str) else spec
    checks: list[str] = []
    differences: list[Difference] = []
    for half in _halves(candidate, spec):
        with np.errstate(all="ignore"):
            for check, fault in _examine(half, probes(spec, seed)):
                checks.append(check)
                if fault is not None:
                    differences.append(Difference(check, *fault))
    return Report(str(spec), tuple(checks), tuple(differences))


def _halves(candidate: Any, spec: Spec) -> list[Half]:
    if isinstance(candidate, tuple) and len(candidate) == 2:
        relax, log_prob = candidate
    else:
        relax, log_prob = (getattr(candidate, name, None) for name in ("relax", "log_prob"))
    if relax is None and log_prob is None:
        raise TypeError(
            "candidate must have a function relax or log_prob, or be a pair of them, "
            f"but got {candidate!r}"
        )
    halves = [Half(spec, "relax", relax), Half(spec, "log_prob", log_prob)]
    return [half for half in halves if half.function is not None]


Fault = tuple[str, str] | None
"""What is wrong, and a script that prints the right answer; or None."""

Examination = Callable[[Half, Answers], Fault]


def _examine(half: Half, inputs: list[Probe]) -> Iterator[tuple[str, Fault]]:
    """Each check with its fault. A fault of form ends the examination: numbers would repeat it."""
    answers: Answers = []

    def accepts(half: Half, answers: Answers) -> Fault:
        answers += [(p, half.answer(half.argument(p), p.parameters)) for p in inputs]
        return None

    forms: dict[str, Examination] = {
        f"{half.name} accepts every {half.given}": accepts,
        f"{half.name} returns the shape of samples and batch": _shape,
        f"{half.name} repeats itself": _repeat,
        f"{half.name} gives each element its own {half.given}": _own,
        f"{half.name} accepts one {half.given}, without samples": _single,
    }
    for check, examination in forms.items():
        fault = _guarded(examination, half, answers)
        yield check, fault
        if fault is not None:
            return
    yield f"{half.name} equals the reference", _guarded(_equality, half, answers)
    if half.name == "log_prob" and any(probe.region == "edge" for probe in inputs):
        yield "log_prob is finite at the edge of the support", _edge(half, answers)


def _guarded(examination: Examination, half: Half, answers: Answers) -> Fault:
    try:
        return examination(half, answers)
    except CandidateError as error:
        return error.message, error.reproduction


def _shape(half: Half, answers: Answers) -> Fault:
    for probe, answer in answers:
        argument = half.argument(probe)
        truth = half.truth(argument, probe.parameters)
        if answer.shape != truth.shape:
            shapes = ", ".join(f"{k} of shape {v.shape}" for k, v in probe.parameters.items())
            lines = [
                f"It must return the shape {truth.shape} but returned {answer.shape}, "
                f"for {half.given} of shape {argument.shape} with {shapes}.",
                *reduced(answer, truth),
            ]
            script = reproduction(half.spec, probe.parameters, half.call, argument[0])
            return "\n".join(lines), script
    return None


def _repeat(half: Half, answers: Answers) -> Fault:
    for probe, answer in answers:
        argument = half.argument(probe)
        if not np.array_equal(half.answer(argument, probe.parameters), answer, equal_nan=True):
            message = (
                "The same arguments gave another answer: the function draws its own noise, "
                "or keeps a state between calls."
            )
            return message, reproduction(half.spec, probe.parameters, half.call, argument[0])
    return None


def _own(half: Half, answers: Answers) -> Fault:
    """Changes the argument of one element, and looks which answers change."""
    noun = "value" if half.name == "relax" else "log_prob"
    moves, script = False, ""
    for probe, answer in answers:
        argument = half.argument(probe)
        if probe.region not in ("unit", "moderate"):
            continue
        truth = half.truth(argument, probe.parameters)
        for element in np.ndindex(2, *reference(half.spec, probe.parameters).batch_shape):
            others = half.any_of_event(truth[(slice(None), *element[1:])] != truth[element])
            if not others.any():
                continue
            moved = argument.copy()
            moved[element] = argument[(int(np.argmax(others)), *element[1:])]
            script = reproduction(half.spec, probe.parameters, half.call, moved[:2])
            changed = _changed(half, answer, half.answer(moved, probe.parameters))
            moves |= bool(changed[element])
            changed[element] = False
            if changed.any():
                stranger = tuple(int(i) for i in np.argwhere(changed)[0])
                one, other = _names(element, stranger)
                lines = [
                    f"The {half.given} of {one} changes the {noun} of {other}: "
                    "samples and batch elements must not depend on each other.",
                    *normalised_axis(half, answer),
                ]
                return "\n".join(lines), script
    if not moves:
        return f"The {half.given} of an element does not change its own {noun}.", script
    return None


def _single(half: Half, answers: Answers) -> Fault:
    """Leaves out the sample dimension."""
    probe, whole = answers[0]
    argument = half.argument(probe)[0]
    answer = half.answer(argument, probe.parameters)
    if answer.shape == whole.shape[1:]:
        return None
    message = (
        f"It must return the shape {whole.shape[1:]} but returned {answer.shape}, for "
        f"{half.given} of shape {argument.shape}."
    )
    return message, reproduction(half.spec, probe.parameters, half.call, argument)


def _changed(half: Half, before: Array, after: Array) -> NDArray[np.bool_]:
    same = np.isclose(before, after, rtol=1e-9, atol=0, equal_nan=True)
    return half.any_of_event(~same)


def _names(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[str, str]:
    if one[0] == other[0]:
        return f"element {one[1:]}", f"element {other[1:]}"
    return f"sample {one[0]}", f"sample {other[0]}"


def _equality(half: Half, answers: Answers) -> Fault:
    answers = [(probe, answer) for probe, answer in answers if probe.region != "edge"]
    differs = [half.differs(answer, probe) for probe, answer in answers]
    wrong = sum(int(d.sum()) for d in differs)
    if not wrong:
        return None
    total = sum(d.size for d in differs)
    first = next(i for i, d in enumerate(differs) if d.any())
    probe, answer = answers[first]
    index = tuple(int(i) for i in np.argwhere(differs[first])[0])
    argument = half.argument(probe)
    truth = half.truth(argument, probe.parameters)
    parameters = probe.element(half.spec, index)
    at = {**parameters, half.given: argument[index]}
    where = ", ".join(f"{name}={literal(value)}" for name, value in at.items())
    lines = [
        f"It differs at {wrong:,} of {total:,} inputs, such as {where}:",
        f"it returned {literal(answer[index])} and must return {literal(truth[index])}.",
        *explain(half, answers, differs),
    ]
    script = reproduction(half.spec, parameters, half.call, argument[index])
    return "\n".join(lines), script


def _edge(half: Half, answers: Answers) -> Fault:
    for probe, answer in answers:
        if probe.region != "edge":
            continue
        wrong = ~np.isfinite(answer) & np.isfinite(half.truth(probe.value, probe.parameters))
        if wrong.any():
            index = tuple(int(i) for i in np.argwhere(wrong)[0])
            parameters = probe.element(half.spec, index)
            message = (
                f"Floating point rounds values to the edge of the support. There, log_prob is "
                f"{literal(answer[index])} at {literal(probe.value[index])}. It must be finite, "
                "like the log density of the nearest number inside."
            )
            return message, reproduction(half.spec, parameters, half.call, probe.value[index])
    return None
