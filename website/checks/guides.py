"""A pytest plugin that runs the Python blocks of each page, in order and in one namespace.

    python -m pytest -p website.checks.guides docs

What the blocks print goes to `docs/outputs/`, and from there into the page.
"""

from __future__ import annotations

import json
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import Any

import torch
from sybil import Example, Sybil
from sybil.evaluators.python import PythonEvaluator
from sybil.parsers.markdown import CodeBlockParser

from website import DOCS

OUTPUTS = DOCS / "outputs"


def seed(_: dict[str, Any]) -> None:
    """Seeds each page, so that it prints the same in every run."""
    torch.manual_seed(0)


class Recorder(PythonEvaluator):
    """Runs a block and keeps what it prints: one text for each block of a page."""

    def __call__(self, example: Example) -> None:
        texts = example.namespace.setdefault("_texts", [])
        with redirect_stdout(StringIO()) as printed:
            super().__call__(example)
        texts.append(printed.getvalue())
        page = Path(example.path).relative_to(DOCS)
        target = (OUTPUTS / page).with_suffix(".json")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(json.dumps(texts))


pytest_collect_file = Sybil(
    parsers=[CodeBlockParser("python", Recorder())],
    path=str(DOCS),
    patterns=["*.md"],
    setup=seed,
).pytest()
