"""Options and the summary that the tests of all packages share."""

from __future__ import annotations

import re

import hypothesis
import pytest

from parametrisation import DTYPES, SPECS

hypothesis.settings.register_profile(
    "ci", derandomize=True, deadline=None, max_examples=25, database=None
)
hypothesis.settings.register_profile("deep", deadline=None, max_examples=500)
hypothesis.settings.load_profile("ci")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("relaxit")
    group.addoption("--device", default="cpu", help="device of the torch tests, such as cuda")
    group.addoption(
        "--dtype",
        choices=DTYPES,
        help="only this dtype in tests that are marked @each_dtype",
    )


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """`--dtype` deselects the other dtype of the tests that are marked `each_dtype`."""
    only = config.getoption("--dtype")
    if only is None:
        return
    others = [
        item
        for item in items
        if isinstance(item, pytest.Function)
        and item.get_closest_marker("each_dtype")
        and item.callspec.params["dtype"] != only
    ]
    config.hook.pytest_deselected(items=others)
    items[:] = [item for item in items if item not in others]


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
