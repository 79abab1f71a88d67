"""Measures the results of the site again, by the commands that they record.

    python docs/experiments.py [NAME ...] [--data-dir DIR]

New figures go to `runs/experiments/`, where a printed comparison tells how far they are from the
committed ones. To replace those, copy the file to `docs/results/`.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "docs" / "results"
FOLDER = Path("runs", "experiments")
TIMES = ("second", "time", "about")
"""Keys of these words are no property of the method."""


def main() -> None:
    """Runs all, or those that are named."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    known = sorted(path.stem for path in RESULTS.glob("*.json"))
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"any of {', '.join(known)}")
    parser.add_argument(
        "--data-dir", type=Path, default=Path("runs", "data"), help="MNIST, downloaded if absent"
    )
    options = parser.parse_args()
    if unknown := {*options.names} - {*known}:
        parser.error(f"there is no docs/results/{min(unknown)}.json")
    for name in options.names or known:
        reproduce(name, options.data_dir)


def reproduce(name: str, data_dir: Path) -> None:
    """Runs one command and compares its figures with the committed ones."""
    before = json.loads((RESULTS / f"{name}.json").read_text())
    target = ROOT / FOLDER / f"{name}.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.unlink(missing_ok=True)
    command = list(adapted(shlex.split(before["about"]["command"]), name, data_dir))
    print("$", shlex.join(command), flush=True)
    subprocess.run(command, cwd=ROOT, check=True)
    # A command that fills a folder leaves its figures there, beside what else it made.
    for found in sorted((ROOT / FOLDER / name).glob("*.json")):
        shutil.copy(found, target)
    # A command that names no place for its figures writes the committed ones anew.
    after = json.loads((target if target.exists() else RESULTS / f"{name}.json").read_text())
    print("\n".join(differences(before, after)) or f"{name}: the same figures", flush=True)


def adapted(words: list[str], name: str, data_dir: Path) -> Iterator[str]:
    """The command with the program, the data and the places of its output on this machine."""
    program, *arguments = words
    scripts = [*ROOT.glob(f"packages/*/scripts/{program}"), *ROOT.glob(f"docs/{program}")]
    beside = Path(sys.executable).with_name(program)
    if scripts:
        yield from (sys.executable, str(scripts[0]))
    else:
        yield str(beside) if beside.exists() else program
    before = ""
    for word in arguments:
        option, equals, value = word.rpartition("=")
        if value.endswith((".json", ".png")):
            yield option + equals + str(FOLDER / name) + Path(value).suffix
        elif before == "--data-dir" or option == "--data-dir" or value.endswith("shared/data"):
            yield option + equals + str(data_dir)
        elif before == "--output" or option == "--output":
            yield option + equals + str(FOLDER / name)
        else:
            yield word
        before = word
    if program == "relaxit-vae" and "--output" in words and "--overwrite" not in words:
        yield "--overwrite"


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Every figure that is not what it was, times apart."""
    if any(word in place.lower() for word in TIMES):
        return
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        for key in before.keys() | after.keys():
            yield from differences(before.get(key), after.get(key), f"{place}.{key}".lstrip("."))
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for number, pair in enumerate(zip(before, after, strict=True)):
            yield from differences(*pair, f"{place}[{number}]")
    elif before != after:
        yield f"{place}: was {before}, is {after}"


if __name__ == "__main__":
    main()
