"""The only door: `nox --list` names the sessions, `nox -s NAME -- ARGUMENTS` runs one of them.

Packages are found by glob; versions, extras and dependency groups are read from `pyproject.toml`.
All sessions share one environment, so that PyTorch is installed once.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
from pathlib import Path

import nox

nox.needs_version = ">=2024.10.9"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["lint", "tests"]

ROOT = Path(__file__).parent.resolve()
PROJECTS = [ROOT / "pyproject.toml", *sorted(ROOT.glob("packages/*/pyproject.toml"))]
SHARED = ROOT / ".nox" / "shared-{}.{}".format(*sys.version_info)
BIN = SHARED / ("Scripts" if os.name == "nt" else "bin")

PARALLEL = ["--numprocesses=auto", "--maxprocesses=8", "--dist=worksteal"]
# Memory of large tensors goes back to the system else, and each use of it begins with page faults.
KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": "1073741824", "MALLOC_TRIM_THRESHOLD_": "4294967296"}
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}  # test workers share the cores


@nox.session
def tests(session: nox.Session) -> None:
    """Unit tests of each package, and the examples of all docstrings and READMEs."""
    install(session, "tests")
    paths = [*found("packages/*/src"), *found("packages/*/tests")]
    pytest = ["pytest", "--doctest-modules", "-m", "not equivalence", *PARALLEL]
    run(session, *pytest, *paths, *session.posargs, env=ONE_THREAD)


@nox.session
def equivalence(session: nox.Session) -> None:
    """Hold the torch package and the reference to the specifications."""
    install(session, "tests")
    pytest = ["pytest", "-m", "equivalence", *PARALLEL]
    run(session, *pytest, *found("packages/*/tests"), *session.posargs, env=ONE_THREAD)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, format and types."""
    install(session, "lint", "tests", "bench", "docs")
    run(session, "ruff", "check", ".")
    run(session, "ruff", "format", "--check", ".")
    run(session, "mypy", "website", *found("packages/*.py"))
    for package in (path.parent.relative_to(ROOT) for path in PROJECTS[1:]):
        # One run each: several packages have modules of one name, such as tests/test_readme.py.
        roots = os.pathsep.join(map(str, (package, package / "src")))
        run(session, "mypy", package, env={"MYPYPATH": roots})


@nox.session
def docs(session: nox.Session) -> None:
    """Write the generated pages, run the guides, build the site into `site/`, open it in a browser.

    With -- serve it is shown while you write.
    """
    install(session, "tests", "docs")
    run(session, "python", "-m", "website.pages.generate")
    guides = ["python", "-m", "pytest", "-p", "website.checks.guides"]
    run(session, *guides, "docs", "--quiet", env=ONE_THREAD)
    run(session, "mkdocs", *(session.posargs or ["build", "--strict"]))
    if not session.posargs:
        run(session, "python", "-m", "website.checks.browser", "site")


@nox.session
def experiments(session: nox.Session) -> None:
    """Measure the figures of the results pages again, all or -- NAME ... (--data-dir=DIR).

    They go to `runs/experiments/`, and what differs is printed. -- --dry-run prints the commands.
    """
    install(session, "tests", "bench", "docs")
    nox_itself = {"NOX": f"{sys.executable} -m nox"}
    measure = ["python", "-m", "website.experiments.measure_again"]
    run(session, *measure, *session.posargs, env=nox_itself)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure the samplers next to their peers (-- --threads=1, --device=cuda, -k WORD)."""
    install(session, "tests", "bench")
    table = ["--benchmark-columns=median,iqr,ops,rounds", "--benchmark-sort=name"]
    names = ["--benchmark-group-by=group", "--benchmark-name=short"]
    paths = found("packages/*/benchmarks/bench_*.py")
    partial = any(argument.startswith(("-k", "--results")) for argument in session.posargs)
    results = [] if partial else ["--results=docs/results/benchmarks.json"]
    run(session, "pytest", *table, *names, *results, *paths, *session.posargs, env=KEPT_MEMORY)


@nox.session
def demo(session: nox.Session) -> None:
    """Train the digit model on the shipped images (-- --epochs 2 for a quick look)."""
    install(session)
    folder = Path("runs", "demo")
    run(session, "relaxit-vae", "train", "--output", folder, "--overwrite", *session.posargs)
    for picture in sorted(folder.rglob("*.png")):
        session.log(f"picture: {picture}")


def install(session: nox.Session, *groups: str) -> None:
    """Install all packages and these groups, in one environment that keeps what it has."""
    stamp = SHARED / "installed.json"
    before = json.loads(stamp.read_text()) if stamp.is_file() else {"groups": []}
    after = {
        "home": [sys.version, str(SHARED)],
        "projects": hashlib.sha256(b"".join(p.read_bytes() for p in PROJECTS)).hexdigest(),
        "groups": sorted({*before["groups"], *groups}),
    }
    if before == after:
        return
    if before.get("home") != after["home"]:
        session.run(sys.executable, "-m", "venv", "--clear", str(SHARED), external=True)
    if changed := before.get("projects") != after["projects"]:
        groups = tuple(after["groups"])
    requirements = nox.project.dependency_groups(nox.project.load_toml(PROJECTS[0]), *groups)
    for path in PROJECTS[1:] if changed else ():
        extras = ",".join(nox.project.load_toml(path)["project"].get("optional-dependencies", {}))
        requirements += ("--editable", f"{path.parent}[{extras}]" if extras else str(path.parent))
    if requirements:
        run(session, "python", "-m", "pip", "install", "--quiet", *requirements)
    stamp.write_text(json.dumps(after))


def run(
    session: nox.Session, program: str, *arguments: object, env: dict[str, str] | None = None
) -> None:
    """Run a program of the shared environment."""
    session.run(str(BIN / program), *map(str, arguments), env=env, external=True)


def found(pattern: str) -> list[Path]:
    """The paths that match, at least one."""
    paths = sorted(path.relative_to(ROOT) for path in ROOT.glob(pattern))
    if not paths:
        raise FileNotFoundError(f"nothing matches {pattern}")
    return paths
