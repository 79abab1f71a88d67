"""Finds what is wrong at the point masses (atoms) of a mixed distribution, or between them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from relaxit_reference.checking.probes import Answers, Half
from relaxit_reference.domains import Array


def at_point_masses(
    half: Half, answers: Answers, differs: list[NDArray[np.bool_]]
) -> Iterator[str]:
    """A sentence for each point mass whose probability is wrong."""
    atoms = half.spec.density.atoms
    for atom in atoms:
        next_to_it = np.nextafter(atom, np.mean(atoms))
        faults = {
            f"At {atom:g} it returns the density next to it: the point mass is missing.": next_to_it
        }
        for other in atoms:
            if other != atom:
                faults[f"At {atom:g} it returns the log-probability of {other:g}."] = other
        at = [(probe.value == atom) for probe, _ in answers]
        if not any((a & d).any() for a, d in zip(at, differs, strict=True)):
            continue
        found = _where(at, [answer for _, answer in answers])
        for words, place in faults.items():
            truths = [half.truth(np.full_like(p.value, place), p.parameters) for p, _ in answers]
            if np.allclose(found, _where(at, truths), 1e-9, 1e-9):
                yield words
                break
        else:
            yield f"It is wrong at {atom:g}."


def between_point_masses(half: Half, answers: Answers) -> Answers:
    """The answers to the samples that are not at a point mass in any batch element."""
    rest = []
    for probe, answer in answers:
        atoms = np.isin(probe.value, half.spec.density.atoms)
        kept = ~atoms.any(axis=tuple(range(1, atoms.ndim)))
        part = replace(probe, noise=probe.noise[kept], value=probe.value[kept])
        rest.append((part, answer[kept]))
    return rest


def _where(at: list[NDArray[np.bool_]], values: list[Array]) -> Array:
    return np.concatenate([value[flags] for flags, value in zip(at, values, strict=True)])
