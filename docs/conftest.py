"""Every Python block of the site runs, those of a page one after the other, as a reader would."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from sybil import Sybil
from sybil.parsers.markdown import PythonCodeBlockParser


def seed(_: dict[str, Any]) -> None:
    """What a page prints or asserts is what its blocks do after this seed."""
    torch.manual_seed(0)


pytest_collect_file = Sybil(
    parsers=[PythonCodeBlockParser()],
    patterns=["*.md"],
    setup=seed,
).pytest()
