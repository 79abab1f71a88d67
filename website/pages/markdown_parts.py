"""Markdown from data."""

from __future__ import annotations

from collections.abc import Iterable


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]], *, numbers: int = 0) -> str:
    """A table without its empty columns. The last `numbers` columns are aligned to the right."""
    lines = list(rows)
    kept = [i for i in range(len(head)) if any(line[i] for line in lines)]
    rule = tuple("---:" if i >= len(head) - numbers else "---" for i in range(len(head)))
    cells = [head, rule, *lines]
    return "\n".join("| " + " | ".join(line[i] for i in kept) + " |" for line in cells)


def listing(items: Iterable[str]) -> str:
    """A list."""
    return "\n".join(f"- {item}" for item in items)


def words(items: list[str]) -> str:
    """Items as a phrase: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))
