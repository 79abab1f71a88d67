"""Options and parametrisation that the tests of all packages share."""

from __future__ import annotations

import hypothesis
import pytest

from relaxit_reference import load_specs

hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=25, database=None
)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=500)
hypothesis.settings.load_profile("ci")

SPECS = [variant for spec in load_specs() for variant in spec.with_variants()]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("relaxit")
    group.addoption("--device", default="cpu", help="device of the torch tests, such as cuda")
    group.addoption(
        "--dtype",
        choices=["float32", "float64"],
        help="only this dtype in tests that compare in both precisions",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `spec` runs for every specification and variant, and is counted."""
    if "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", SPECS, ids=str)
    if "dtype" in metafunc.fixturenames:
        only = metafunc.config.getoption("--dtype")
        metafunc.parametrize("dtype", [only] if only else ["float64", "float32"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spec" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.equivalence)
