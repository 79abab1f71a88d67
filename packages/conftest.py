"""Options and parametrisation that the tests of all packages share."""

from __future__ import annotations

import re

import hypothesis
import pytest

from relaxit_reference import load_specs

hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=25, database=None
)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=500)
hypothesis.settings.load_profile("ci")

SPECS = [variant for spec in load_specs() if spec.kind != "map" for variant in spec.with_variants()]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("relaxit")
    group.addoption("--device", default="cpu", help="device of the torch tests, such as cuda")
    group.addoption(
        "--dtype",
        choices=["float32", "float64"],
        help="only this dtype in tests that compare in both precisions",
    )


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test with an argument `spec` runs for every specification and variant, and is counted.

    With an argument `names` too it runs for every set of parameters that determines one.
    """
    if {"spec", "names"} <= {*metafunc.fixturenames}:
        pairs = [(spec, names) for spec in SPECS for names in spec.parameterisations()]
        ids = [f"{spec}-by {' and '.join(names)}" for spec, names in pairs]
        metafunc.parametrize(("spec", "names"), pairs, ids=ids)
    elif "spec" in metafunc.fixturenames:
        metafunc.parametrize("spec", SPECS, ids=str)
    chosen = [mark.args[0] for mark in metafunc.definition.iter_markers("parametrize")]
    if "dtype" in metafunc.fixturenames and not any("dtype" in names for names in chosen):
        only = metafunc.config.getoption("--dtype")
        metafunc.parametrize("dtype", [only] if only else ["float64", "float32"])


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if "spec" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.equivalence)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Says how much was held, counted from what passed."""
    names = {str(spec) for spec in SPECS}
    checks: dict[str, int] = {}
    counts = {"test_the_property_holds": 0, "test_log_prob_equals_the_50_digit_value": 0}
    impostors = 0
    for report in terminalreporter.stats.get("passed", []):
        function, _, parameters = report.nodeid.rpartition("::")[2].partition("[")
        for word in re.split(r"[-:\]]", parameters):
            if word in names:
                checks[word] = checks.get(word, 0) + 1
        if "relaxit-torch" in report.nodeid and function in counts:
            counts[function] += 1
        impostors += function == "test_an_impostor_is_rejected_and_its_fault_named"
    if not sum(counts.values()):
        return
    properties, cases = counts.values()
    failed = len(terminalreporter.stats.get("failed", []))
    terminalreporter.section("equivalence")
    terminalreporter.write_line(
        f"held {len(checks)} of {len(names)} specifications and variants, with "
        f"{properties} properties, {cases} cases and {sum(checks.values())} checks; "
        f"{impostors} impostors rejected; {failed} failures"
    )
    for name in sorted(names):
        terminalreporter.write_line(f"  {name}: {checks.get(name, 0)} checks")
