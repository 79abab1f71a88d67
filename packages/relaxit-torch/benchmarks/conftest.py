"""Collects what the benchmarks measure, and writes it where the site reads it."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import torch

from relaxit_vae.provenance import provenance

ROOT = Path(__file__).parents[3]
TABLES = pytest.StashKey[dict[str, list[dict[str, Any]]]]()
PACKAGES = ("torch", "pyro-ppl", "relaxit", "relaxit-torch", "pytest-benchmark")


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("relaxit")
    group.addoption("--threads", type=int, help="of torch, for all that is compared")
    group.addoption("--results", type=Path, help="a file for the results of a whole run")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[TABLES] = {}


@pytest.fixture(scope="session", autouse=True)
def machine(request: pytest.FixtureRequest) -> None:
    """The same threads, device and state of the processor for all that is compared.

    On one kind of AMD processor `log1p` took twenty times as long, in the whole process, until
    `atanh` had been called once. The cause is not known. Where noise seems slow, try that.
    """
    if threads := request.config.getoption("--threads"):
        torch.set_num_threads(threads)
    device = str(request.config.getoption("--device"))
    if device != "cpu":  # a default of the default would slow down each call
        torch.set_default_device(device)
    torch.manual_seed(0)


@pytest.fixture(autouse=True)
def validation_of_peers() -> Iterator[None]:
    """Compiling turns off the validation of all distributions, also that inside of peers, for the
    rest of the process: https://github.com/pytorch/pytorch/pull/185438
    """
    default = torch.distributions.Distribution._validate_args
    yield
    torch.distributions.Distribution.set_default_validate_args(default)


@pytest.fixture
def record(request: pytest.FixtureRequest) -> Callable[..., None]:
    """`record(table, **row)` adds a row to a table of the results."""
    tables = request.config.stash[TABLES]

    def record(table: str, **row: Any) -> None:
        tables.setdefault(table, []).append(row)

    return record


def pytest_sessionfinish(session: pytest.Session) -> None:
    """After a run of everything, and only then, the results are written."""
    config = session.config
    tables, path = config.stash[TABLES], config.getoption("--results")
    for name, rows in tables.items():
        print(f"\n\n{name}\n{text(rows)}")
    if path is None or session.testsfailed or not tables:
        return
    about = provenance() | {
        "command": shlex.join(["nox", "-s", "bench", *chosen(config)]),
        "commit": commit(),
        "device": str(config.getoption("--device")),
        "dtype": "float32",
        "versions": {package: version(package) for package in PACKAGES},
    }
    path.write_text(json.dumps({"about": about, **tables}, indent=1) + "\n", encoding="utf-8")
    print(f"\nwrote {path}")


def chosen(config: pytest.Config) -> list[str]:
    """What was asked for beyond the session's own arguments."""
    threads, device = config.getoption("--threads"), str(config.getoption("--device"))
    options = [f"--threads={threads}"] if threads else []
    options += [f"--device={device}"] if device != "cpu" else []
    return ["--", *options] if options else []


def commit() -> str:
    """That of the repository, with `+` where sources differ from it."""
    git = ["git", "-C", str(ROOT)]
    revision = subprocess.check_output([*git, "rev-parse", "HEAD"], text=True).strip()
    state = [*git, "status", "--porcelain", "--untracked-files=no", "--", "packages"]
    return revision + "+" * bool(subprocess.check_output(state))


def text(rows: list[dict[str, Any]]) -> str:
    """A table for a terminal."""
    names = list(rows[0])
    cells = [names, *([digits(row[name]) for name in names] for row in rows)]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True))
        for line in cells
    )


def digits(value: Any) -> str:
    """Three digits of a number."""
    return f"{value:.3g}" if isinstance(value, float) else str(value)
