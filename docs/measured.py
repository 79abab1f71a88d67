"""Pages of measured results, from the shape of `docs/results/*.json` alone.

`about` says where a file comes from, and everything else is shown: numbers and words in a table,
tables of tables as tables, and lists of numbers as curves.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks_page import benchmarks_page
from markdown_parts import listing, table
from matplotlib.figure import Figure
from pictures.picture import Picture
from pictures.themes import Theme

RESULTS = Path(__file__).parent / "results"
OWN = {"benchmarks": benchmarks_page}
"""Results whose page is more than what their shape tells."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def pages(pictures: Path) -> dict[str, str]:
    """The text of every page by its name, the index among them; pictures go to a folder."""
    found = {path.stem: json.loads(path.read_text()) for path in sorted(RESULTS.glob("*.json"))}
    for name, results in found.items():
        if "command" not in results.get("about", {}):
            raise ValueError(f"{name}.json must say under about.command how it was measured")
    texts = {
        f"{name}.md": OWN[name](results) if name in OWN else page(name, results, pictures)
        for name, results in found.items()
    }
    return {"index.md": index(found), **texts}


def index(found: Mapping[str, Any]) -> str:
    """What there is, and how it is measured again."""
    return "\n\n".join(
        [
            "# Results",
            "Every figure comes from a file that names its command; seeds are among the options. "
            "This measures all of them again and prints what differs:",
            "```sh\nnox -s experiments\n```",
            "With names behind it (`nox -s experiments -- vae-enumeration`) it takes only those.",
            listing(
                f"[{title(name)}]({name}.md): `{results['about']['command']}`"
                for name, results in found.items()
            ),
        ]
    )


def page(name: str, results: Mapping[str, Any], pictures: Path) -> str:
    """One file."""
    parts = [f"# {title(name)}", *provenance(name, results["about"])]
    for key, value in results.items():
        if key != "about":
            parts += section(key, value, name, pictures)
    return "\n\n".join(parts) + "\n"


def title(name: str) -> str:
    """`vae-protocol-a` as words."""
    words = name.replace("-", " ").replace("_", " ")
    return (
        words.replace("vae", "VAE").replace("VAE", "VAE:", 1) if "vae" in words else words.title()
    )


def provenance(name: str, about: Mapping[str, Any]) -> Iterator[str]:
    """Where a file comes from."""
    yield f"```sh\n{about['command']}\n```"
    facts = {key: value for key, value in about.items() if key != "command"}
    versions = facts.pop("versions", {})
    told = [*facts.items(), *versions.items()]
    if told:
        yield ", ".join(f"{key} {value}" for key, value in told) + "."
    yield f"The figures: [{name}.json](../results/{name}.json)."


def section(key: str, value: Any, name: str, pictures: Path) -> Iterator[str]:
    """What one key holds."""
    if isinstance(value, Mapping) and value and all(map(is_row, value.values())):
        value = [{key.removesuffix("s"): inner, **entries} for inner, entries in value.items()]
    if is_row(value):
        yield f"## {heading(key)}"
        yield table(("", "value"), ((f"`{inner}`", shown(entry)) for inner, entry in value.items()))
    elif isinstance(value, Mapping):
        for inner, entry in value.items():
            yield from section(f"{key}: {inner}", entry, name, pictures)
    elif isinstance(value, list) and value and all(map(is_row, value)):
        yield f"## {heading(key)}"
        rows = by_label(value)
        yield from of_rows(rows)
        for curve in curves_of(value):
            picture = Picture(
                f"{name}-{curve}",
                heading(curve),
                f"{heading(curve)}: one line for each row.",
                partial(draw_curves, rows, curve),
            )
            yield picture.written(pictures)
    else:
        yield f"{heading(key)}: {shown(value)}."


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
    """Means, with standard deviations where there are several rows of the same words."""
    first = next(iter(rows.values()))[0]
    words = [key for key, value in first.items() if isinstance(value, str | bool)]
    numbers = [
        key
        for key in dict.fromkeys(key for group in rows.values() for row in group for key in row)
        if key not in words
        and key != "seed"
        and not any(isinstance(row.get(key), list) for group in rows.values() for row in group)
    ]
    lines = (
        (
            *(shown(group[0].get(word)) for word in words),
            *(average([row.get(number) for row in group]) for number in numbers),
        )
        for group in rows.values()
    )
    yield table(tuple(map(heading, (*words, *numbers))), lines, numbers=len(numbers))
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
    return f"{shown(mean(known))} ± {stdev(known):.2g}"


def curves_of(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The keys whose values are lists of numbers."""
    return [
        key
        for key, value in rows[0].items()
        if isinstance(value, list) and len(value) > 1 and isinstance(value[0], int | float)
    ]


def draw_curves(rows: Rows, key: str, theme: Theme) -> Figure:
    """A colour for each label, a line for each row."""
    figure = Figure(figsize=(7, 3.2), layout="constrained")
    axes = figure.add_subplot()
    for (label, group), colour in zip(rows.items(), theme.lines(len(rows)), strict=True):
        for number, row in enumerate(group):
            steps = range(1, len(row[key]) + 1)
            axes.plot(steps, row[key], color=colour, label=label if number == 0 else None)
    axes.set(xlabel=key.rpartition("_by_")[2], ylabel=heading(key.partition("_by_")[0]))
    axes.legend()
    return figure


def heading(key: str) -> str:
    """A key as words."""
    return key.replace("_", " ").capitalize()


def shown(value: Any) -> str:
    """A number with the digits that people read; anything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 100 else f"{value:.2f}"
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)
