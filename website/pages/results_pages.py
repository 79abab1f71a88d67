"""Pages of measured results, from `docs/results/*.json`.

The key `about` says how a file was measured. A page shows everything else: numbers and words in a
table, tables of tables as tables, and lists of numbers as curves.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from website import DOCS
from website.experiments.experiment_list import EXPERIMENTS, LIST, Experiment, experiment_of

from .benchmarks_page import benchmarks
from .markdown_parts import table
from .results_rows import of_rows
from .results_words import heading, shown

RESULTS = DOCS / "results"
OWN = {"benchmarks": benchmarks}
"""Results with a page of their own."""

SECTIONS = {
    "bits": "Six bits",
    "categories": "One variable of four categories",
    "latents": "Bounds",
    "mean_cosine_of_mean": "Direction",
    "options": "Settings",
    "ratio": "Ratio of the medians",
    "rows": "Figures",
    "seconds": "Seconds of each turn",
}
"""Headings where a key says too little by itself."""

MEANINGS = {
    "mean_cosine_of_mean": (
        "The cosine of the angle between the mean of all draws and the exact gradient, averaged "
        "over the seeds: 1 is the same direction."
    ),
    "options": "The options of the command. All others have their defaults.",
}

DATA = (
    "DATA is the folder of MNIST. Its files are in `DATA/MNIST/raw` and are downloaded if they are "
    "missing. Choose the folder by `nox -s experiments -- --data-dir=DATA`; the default is "
    "`runs/data`."
)


def pages(pictures: Path) -> dict[str, str]:
    """The text of every page by its name, with an index. Writes pictures to a folder.

    Raises:
        ValueError: a file of results has no experiment, or was measured by another command than
            its experiment has; or an experiment has no file.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    if absent := {*EXPERIMENTS} - {*found}:
        raise ValueError(f"docs/results/{min(absent)}.json is missing, but {LIST} names it")
    texts = {name: page(name, results, pictures) for name, results in found.items()}
    return {"index.md": index(found), **{f"{name}.md": text for name, text in texts.items()}}


def index(found: Mapping[str, Any]) -> str:
    """The index: all results, and how to measure them again."""
    rows = (
        (f"[{EXPERIMENTS[name].title}]({name}.md)", EXPERIMENTS[name].what, f"`{name}`")
        for name in found
    )
    return "\n\n".join(
        [
            "# Results",
            "Every figure comes from a file that names its command; seeds are among the options. "
            "This command measures all of them again, writes to `runs/experiments/`, and prints "
            "what differs:",
            "```sh\nnox -s experiments\n```",
            "`nox -s experiments -- vae-methods` measures only the named results. "
            "`nox -s experiments -- --dry-run` only prints the commands. " + DATA,
            table(("Result", "What is measured", "Name"), rows),
        ]
    )


def page(name: str, results: Mapping[str, Any], pictures: Path) -> str:
    """The page of one file."""
    experiment = experiment_of(name, results)
    parts = ["---\nhide: [toc]\n---", f"# {experiment.title}", experiment.what]
    own = OWN.get(name)
    parts += own(results) if own else shape(results, name, pictures)
    parts += ["## Measure it again", *provenance(name, experiment, results["about"])]
    return "\n\n".join(parts) + "\n"


def provenance(name: str, experiment: Experiment, about: Mapping[str, Any]) -> Iterator[str]:
    """How a file was measured, and how to measure it again."""
    yield f"```sh\nnox -s experiments -- {name}\n```"
    folder = f"runs/experiments/{name}"
    command = shlex.join(experiment.words("DATA", f"{folder}.json", folder))
    yield f"This runs\n\n```sh\n{command}\n```"
    if "DATA" in experiment.command:
        yield DATA
    versions = [f"{package} {number}" for package, number in about["versions"].items()]
    seed = f"; seed {about['seed']}" if "seed" in about else ""
    yield (
        f"The figures above are from commit `{about['commit'][:10]}` on {about['cpu']} with "
        f"{about['threads']} thread{'s'[: about['threads'] > 1]}, Python {about['python']}, "
        f"{', '.join(versions)}{seed}. The file: [{name}.json](../results/{name}.json)."
    )


def shape(results: Mapping[str, Any], name: str, pictures: Path) -> Iterator[str]:
    """Sections for all keys of a file: single numbers first, settings last."""
    numbers = {key: value for key, value in results.items() if not isinstance(value, dict | list)}
    yield from sentences(numbers)
    keys = [key for key in results if key not in {*numbers, "about"}]
    for key in sorted(keys, key=lambda key: key == "options"):
        yield from section(key, results[key], name, pictures)


def sentences(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Single numbers as sentences."""
    if numbers:
        yield " ".join(f"{heading(key)}: {shown(value)}." for key, value in numbers.items())


def section(key: str, value: Any, name: str, pictures: Path) -> Iterator[str]:
    """The section of one key."""
    if isinstance(value, Mapping) and value and all(map(is_row, value.values())):
        value = [{key.removesuffix("s"): inner, **entries} for inner, entries in value.items()]
    if isinstance(value, Mapping) and not is_row(value) and not has_rows(value):
        for inner, entry in value.items():
            yield from section(inner, entry, name, pictures)
        return
    yield f"## {SECTIONS.get(key, heading(key))}"
    if key in MEANINGS:
        yield MEANINGS[key]
    if is_row(value):
        names = ("--" + k.replace("_", "-") if key == "options" else k for k in value)
        yield table(
            ("Name", "Value"),
            ((f"`{n}`", shown(v)) for n, v in zip(names, value.values(), strict=True)),
        )
    elif isinstance(value, Mapping):
        yield from sentences({k: v for k, v in value.items() if not isinstance(v, list)})
        for rows in (v for v in value.values() if isinstance(v, list)):
            yield from of_rows(rows, name, pictures)
    else:
        yield from of_rows(value, name, pictures)


def has_rows(value: Mapping[str, Any]) -> bool:
    """Whether a value holds lists of rows."""
    return any(isinstance(entry, list) for entry in value.values())


def is_row(value: Any) -> bool:
    """Whether a value is a table without tables in it."""
    if not isinstance(value, Mapping):
        return False
    lists = [entry for entry in value.values() if isinstance(entry, list)]
    entries = [*value.values(), *(entry for entries in lists for entry in entries)]
    return not any(isinstance(entry, Mapping) for entry in entries)
