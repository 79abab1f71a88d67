"""Pages of measured results, from the shape of `docs/results/*.json`.

`about` says where a file comes from, and everything else is shown: numbers and words in a table,
tables of tables as tables, and lists of numbers as curves.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks_page import benchmarks
from experiment_list import EXPERIMENTS, Experiment, experiment_of
from markdown_parts import table
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from pictures.picture import Picture
from pictures.themes import Theme

RESULTS = Path(__file__).parent / "results"
OWN = {"benchmarks": benchmarks}
"""Results that are shown as more than what their shape tells."""

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
"""Headings of keys that say too little by themselves."""

MEANINGS = {
    "mean_cosine_of_mean": (
        "The cosine of the angle between the mean of all draws and the exact gradient, averaged "
        "over the seeds: 1 is the same direction."
    ),
    "options": "Those of the command; all others have their defaults.",
}
NOTES = {
    "bias_squared": (
        "*Bias squared* is an estimate that has no bias of its own: the squared distance of the "
        "mean of all draws from the exact gradient, less the variance of that mean. Where the true "
        "value is 0, the estimate is below 0 about as often as above."
    ),
    "mean_of_halves": (
        "The logarithm is concave: for every image, the mean of the bounds by two halves of the "
        "samples is at most the bound by all of them. It is counted for how many images it is not."
    ),
}
"""What a column means, where its head cannot say it."""

NAMES = {
    "images_where_halves_are_above": "images for which this mean is above the bound",
    "mean_of_halves": "mean of the bounds by two halves of the samples",
}
"""Keys in other words than their own."""

LINES = ("-", "--", ":")
"""For each ten of lines the style, for there are ten colours."""

WORDS = {"cpu": "CPU", "elbo": "ELBO", "kl": "KL", "stderr": "standard error"}
"""Abbreviations, as people write them."""

DATA = (
    "DATA is the folder of MNIST, its files in `DATA/MNIST/raw`, where they are downloaded if they "
    "are absent: `nox -s experiments -- --data-dir=DATA`, by default `runs/data`."
)

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def pages(pictures: Path) -> dict[str, str]:
    """The text of every page by its name, the index among them; pictures go to a folder.

    Raises:
        ValueError: a file of results has no command that measures it again, or another one; or an
            experiment has no file.
    """
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    if absent := {*EXPERIMENTS} - {*found}:
        raise ValueError(f"docs/results/{min(absent)}.json is not there: docs/experiment_list.py")
    texts = {name: page(name, results, pictures) for name, results in found.items()}
    return {"index.md": index(found), **{f"{name}.md": text for name, text in texts.items()}}


def index(found: Mapping[str, Any]) -> str:
    """What there is, and how it is measured again."""
    rows = (
        (f"[{EXPERIMENTS[name].title}]({name}.md)", EXPERIMENTS[name].what, f"`{name}`")
        for name in found
    )
    return "\n\n".join(
        [
            "# Results",
            "Every figure comes from a file that names its command; seeds are among the options. "
            "This measures all of them again, into `runs/experiments/`, and prints what differs:",
            "```sh\nnox -s experiments\n```",
            "With names behind it, as in `nox -s experiments -- vae-methods`, it takes only those; "
            "`nox -s experiments -- --dry-run` prints the commands. " + DATA,
            table(("Result", "What is measured", "Name"), rows),
        ]
    )


def page(name: str, results: Mapping[str, Any], pictures: Path) -> str:
    """One file."""
    experiment = experiment_of(name, results)
    parts = ["---\nhide: [toc]\n---", f"# {experiment.title}", experiment.what]
    own = OWN.get(name)
    parts += own(results) if own else shape(results, name, pictures)
    parts += ["## Measure it again", *provenance(name, experiment, results["about"])]
    return "\n\n".join(parts) + "\n"


def provenance(name: str, experiment: Experiment, about: Mapping[str, Any]) -> Iterator[str]:
    """Where a file comes from."""
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
    """A part for everything that a file holds: numbers by themselves first, settings last."""
    numbers = {key: value for key, value in results.items() if not isinstance(value, dict | list)}
    yield from sentences(numbers)
    keys = [key for key in results if key not in {*numbers, "about"}]
    for key in sorted(keys, key=lambda key: key == "options"):
        yield from section(key, results[key], name, pictures)


def sentences(numbers: Mapping[str, Any]) -> Iterator[str]:
    """Numbers by themselves."""
    if numbers:
        yield " ".join(f"{heading(key)}: {shown(value)}." for key, value in numbers.items())


def section(key: str, value: Any, name: str, pictures: Path) -> Iterator[str]:
    """What one key holds, under its heading."""
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
            yield from figures(rows, name, pictures)
    else:
        yield from figures(value, name, pictures)


def has_rows(value: Mapping[str, Any]) -> bool:
    """Whether this is a list of rows, and what is said of them."""
    return any(isinstance(entry, list) for entry in value.values())


def figures(value: Sequence[Mapping[str, Any]], name: str, pictures: Path) -> Iterator[str]:
    """A table, and a picture for each key that holds a curve."""
    rows = by_label(in_microseconds(comparable(value)))
    yield from of_rows(rows)
    yield from (note for key, note in NOTES.items() if any(key in row for row in value))
    for curve in curves_of(value):
        picture = Picture(
            f"{name}-{curve}",
            heading(curve),
            f"{heading(curve)}: one line for each run.",
            partial(draw_curves, rows, curve),
        )
        yield picture.written(pictures)


def comparable(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Without the seconds of whole runs: one that was resumed has those of its last part."""
    return [
        {k: v for k, v in row.items() if k != "seconds" or "seconds_per_epoch" not in row}
        for row in rows
    ]


def in_microseconds(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The same, with times in microseconds if all are less than a millisecond."""
    if any(row.get("seconds", 1) >= 1e-3 for row in rows):
        return list(rows)
    return [
        {**{k: v for k, v in row.items() if k != "seconds"}, "microseconds": row["seconds"] * 1e6}
        for row in rows
    ]


def is_row(value: Any) -> bool:
    """Whether this is a table without tables in it."""
    if not isinstance(value, Mapping):
        return False
    lists = [entry for entry in value.values() if isinstance(entry, list)]
    entries = [*value.values(), *(entry for entries in lists for entry in entries)]
    return not any(isinstance(entry, Mapping) for entry in entries)


def by_label(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Rows under their words, several if only the seed tells them from each other."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        words = (str(v) for v in row.values() if isinstance(v, str | bool))
        together.setdefault(", ".join(words), []).append(row)
    seeds = ([row.get("seed") for row in group] for group in together.values())
    if all(len(set(group)) == len(group) for group in seeds):
        return together
    return {f"{number}": [row] for number, row in enumerate(rows, start=1)}


def of_rows(rows: Rows) -> Iterator[str]:
    """Means, with standard deviations where there are several rows of the same words.

    What all rows have in common is said once, and a single row stands upright.
    """
    first = next(iter(rows.values()))[0]
    words = [key for key, value in first.items() if isinstance(value, str | bool)]
    numbers = [
        key
        for key in dict.fromkeys(key for group in rows.values() for row in group for key in row)
        if key not in words
        and key != "seed"
        and not any(isinstance(row.get(key), list) for group in rows.values() for row in group)
    ]
    lines = [
        {
            **{word: shown(group[0].get(word)) for word in words},
            **{number: average([row.get(number) for row in group]) for number in numbers},
        }
        for group in rows.values()
    ]
    common = [key for key in lines[0] if len({line[key] for line in lines}) == 1]
    if len(lines) == 1:
        yield table(("Figure", "Value"), ((heading(key), value) for key, value in lines[0].items()))
    else:
        kept = [key for key in lines[0] if key not in common]
        yield table(
            tuple(map(heading, kept)),
            (tuple(line[key] for key in kept) for line in lines),
            numbers=len({*kept} & {*numbers}),
        )
        told = [f"{phrase(key)}: {lines[0][key]}" for key in common if lines[0][key]]
        if told:
            yield f"The same in all rows: {', '.join(told)}."
    seeds = max(len(group) for group in rows.values())
    if seeds > 1:
        yield f"Mean ± standard deviation over {seeds} seeds."


def average(values: Sequence[Any]) -> str:
    """The mean of what there is."""
    known = [value for value in values if isinstance(value, int | float)]
    if not known or len(known) < len(values):
        return shown(values[0]) if len(values) == 1 else ""
    if len(set(known)) == 1:
        return shown(known[0])
    spread = stdev(known)
    digits = f"{spread:{'.2g' if spread < 100 else '.0f'}}".replace("-", "\u2212")
    return f"{shown(mean(known))} ± {digits}"


def curves_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are lists of numbers."""
    return [
        key
        for key, value in rows[0].items()
        if isinstance(value, list) and len(value) > 1 and isinstance(value[0], int | float)
    ]


def draw_curves(rows: Rows, key: str, _: Theme) -> Figure:
    """A colour and a style for each label, a line for each row."""
    figure = Figure(figsize=(8, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for place, (label, group) in enumerate(rows.items()):
        colour, style = f"C{place % 10}", LINES[place // 10 % len(LINES)]
        for number, row in enumerate(group):
            steps = range(1, len(row[key]) + 1)
            name = label if number == 0 else None
            axes.plot(steps, row[key], color=colour, linestyle=style, label=name)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.set(xlabel=key.rpartition("_by_")[2], ylabel=heading(key.partition("_by_")[0]))
    if len(rows) > 1:
        figure.legend(loc="outside right upper")
    return figure


def heading(key: str) -> str:
    """A key as words."""
    words = phrase(key)
    return words[0].upper() + words[1:]


def phrase(key: str) -> str:
    """A key as words within a sentence."""
    return NAMES.get(key) or " ".join(WORDS.get(word, word) for word in key.split("_"))


def shown(value: Any) -> str:
    """A number with the digits that people read; anything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        # A minus sign, for lines break at a hyphen.
        return (f"{value:.4g}" if abs(value) < 100 else f"{value:.2f}").replace("-", "\u2212")
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)
