"""A list of measured rows as a table, with a picture for each key that holds a curve."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from website.pictures.picture import Picture
from website.pictures.themes import Theme

from .markdown_parts import table
from .results_words import heading, phrase, shown

NOTES = {
    "bias_squared": (
        "*Bias squared* is an unbiased estimate: the squared distance of the mean of all draws "
        "from the exact gradient, less the variance of this mean. Where the true value is 0, the "
        "estimate is below 0 about as often as above."
    ),
    "mean_of_halves": (
        "The logarithm is concave. So for every image, the mean of the bounds by two halves of the "
        "samples is at most the bound by all samples. The table counts the images for which it "
        "is not."
    ),
}
"""Explanations of columns."""

LINES = ("-", "--", ":")
"""One style for each group of ten lines, because there are ten colours."""

Rows = Mapping[str, Sequence[Mapping[str, Any]]]


def of_rows(value: Sequence[Mapping[str, Any]], name: str, pictures: Path) -> Iterator[str]:
    """The table of rows, and a picture for each key that holds a curve."""
    rows = by_label(in_microseconds(comparable(value)))
    yield from tabulated(rows)
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
    """The rows without the seconds of whole runs: a resumed run counts only its last part."""
    return [
        {k: v for k, v in row.items() if k != "seconds" or "seconds_per_epoch" not in row}
        for row in rows
    ]


def in_microseconds(rows: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The rows, with times in microseconds if all times are below a millisecond."""
    if any(row.get("seconds", 1) >= 1e-3 for row in rows):
        return list(rows)
    return [
        {**{k: v for k, v in row.items() if k != "seconds"}, "microseconds": row["seconds"] * 1e6}
        for row in rows
    ]


def by_label(rows: Sequence[Mapping[str, Any]]) -> Rows:
    """Rows by their words. Rows that differ only in the seed are together."""
    together: dict[str, list[Mapping[str, Any]]] = {}
    for row in rows:
        words = (str(v) for v in row.values() if isinstance(v, str | bool))
        together.setdefault(", ".join(words), []).append(row)
    seeds = ([row.get("seed") for row in group] for group in together.values())
    if all(len(set(group)) == len(group) for group in seeds):
        return together
    return {f"{number}": [row] for number, row in enumerate(rows, start=1)}


def tabulated(rows: Rows) -> Iterator[str]:
    """A table of means, with standard deviations where rows differ only in the seed.

    What all rows have in common is said below the table. A single row becomes a column.
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
    """The mean ± the standard deviation of numbers; nothing if one is missing."""
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
