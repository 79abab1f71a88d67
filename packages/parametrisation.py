"""Decorators that run a test for every specification, or in both precisions.

Each carries the marker `equivalence`, which `nox -s equivalence` selects. Above a test with other
decorators they stand last, so that the name of the specification comes first in the test's id.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from relaxit_reference import Spec, load_specs

Test = TypeVar("Test", bound=Callable[..., object])

SPECS: list[Spec] = [
    variant for spec in load_specs() if spec.kind != "map" for variant in spec.with_variants()
]
"""Every specification of a distribution and each of its variants."""

DTYPES = ["float64", "float32"]


def each_spec(test: Test) -> Test:
    """Runs a test with the argument `spec` for every specification and variant."""
    return pytest.mark.equivalence(pytest.mark.parametrize("spec", SPECS, ids=str)(test))


def each_spec_and_parameters(test: Test) -> Test:
    """Runs a test with the arguments `spec` and `names` for every way to give the parameters.

    `names` are the parameters that together determine the distribution, such as
    `("temperature", "logits")`.
    """
    pairs = [(spec, names) for spec in SPECS for names in spec.parameterisations()]
    ids = [f"{spec}-by {' and '.join(names)}" for spec, names in pairs]
    return pytest.mark.equivalence(pytest.mark.parametrize(("spec", "names"), pairs, ids=ids)(test))


def each_dtype(test: Test) -> Test:
    """Runs a test with the argument `dtype` for "float64" and "float32", or only for `--dtype`."""
    return pytest.mark.each_dtype(
        pytest.mark.equivalence(pytest.mark.parametrize("dtype", DTYPES)(test))
    )
