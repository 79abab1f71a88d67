"""Measures the results of the site again, by the commands that it shows.

    python -m website.experiments.measure_again [NAME ...] [--data-dir DIR] [--dry-run]

It writes new figures to `runs/experiments/` and prints how they differ from the committed figures.
To replace the committed figures, copy the file to `docs/results/`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from website import DOCS

from .experiment_list import EXPERIMENTS, experiment_of

ROOT, RESULTS = DOCS.parent, DOCS / "results"
FOLDER = Path("runs", "experiments")
TIMES = ("second", "time", "about")
"""Keys with these words depend on the machine, not on the method."""


def main() -> None:
    """Runs the named experiments, or all."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"of {', '.join(EXPERIMENTS)}")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("runs", "data"), help="MNIST, downloaded if absent"
    )
    parser.add_argument("--dry-run", action="store_true", help="only print the commands")
    options = parser.parse_args()
    if unknown := {*options.names} - {*EXPERIMENTS}:
        parser.error(f"there is no experiment {min(unknown)!r}; there are {', '.join(EXPERIMENTS)}")
    for name in options.names or EXPERIMENTS:
        reproduce(name, options.data_dir, dry_run=options.dry_run)


def reproduce(name: str, data_dir: Path, *, dry_run: bool) -> None:
    """Runs one command and compares its figures with the committed figures, if there are any."""
    committed = RESULTS / f"{name}.json"
    before = json.loads(committed.read_text()) if committed.exists() else None
    experiment = experiment_of(name, before) if before else EXPERIMENTS[name]
    figures, folder = ROOT / FOLDER / f"{name}.json", ROOT / FOLDER / name
    words = experiment.words(
        os.path.relpath(data_dir, ROOT), str(figures.relative_to(ROOT)), str(FOLDER / name)
    )
    threads = str((before or {}).get("about", {}).get("threads", 1))
    print(f"$ OMP_NUM_THREADS={threads} {shlex.join(words)}", flush=True)
    if dry_run:
        return
    figures.parent.mkdir(parents=True, exist_ok=True)
    figures.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    environment = {**os.environ, "OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads}
    subprocess.run([*program(words[0]), *words[1:]], cwd=ROOT, env=environment, check=True)
    after = json.loads(figures.read_text())
    if before is None:
        print(f"{name}: docs/results has no figures to compare with", flush=True)
        return
    print("\n".join(differences(before, after)) or f"{name}: the same figures", flush=True)


def program(name: str) -> list[str]:
    """The program of this environment. For nox, the one that runs this session."""
    if name == "nox":
        return shlex.split(os.environ.get("NOX", "nox"))
    return [sys.executable if name == "python" else str(Path(sys.executable).with_name(name))]


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Every figure that has changed, except times."""
    if any(word in place.lower() for word in TIMES):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in dict.fromkeys([*before, *after]):
            yield from differences(before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: was {before}, is {after}"


if __name__ == "__main__":
    main()
