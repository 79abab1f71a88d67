"""Puts generated parts into pages: the table of all distributions, and what code blocks print."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.pages import Page

BLOCK = re.compile(r"^```python$.*?^```$", re.DOTALL | re.MULTILINE)
OVERVIEW = "<!-- every distribution -->"
LOG = logging.getLogger("mkdocs.hooks")


def on_page_markdown(markdown: str, page: Page, config: MkDocsConfig, **_: Any) -> str:
    """Puts in the table of all distributions, and under each Python block what it prints.

    Warns if not every Python block of the page was run.
    """
    root = Path(config.docs_dir)
    table = root / "maths" / "overview.txt"
    if OVERVIEW in markdown:
        markdown = markdown.replace(OVERVIEW, table.read_text(encoding="utf-8"))
    blocks = list(BLOCK.finditer(markdown))
    if not blocks:
        return markdown
    path = (root / "outputs" / page.file.src_path).with_suffix(".json")
    texts = json.loads(path.read_text()) if path.exists() else []
    if len(texts) != len(blocks):
        LOG.warning("%s: %d of %d Python blocks ran", page.file.src_path, len(texts), len(blocks))
        return markdown
    outputs = iter(texts)
    return BLOCK.sub(lambda match: match[0] + printed(next(outputs)), markdown)


def printed(text: str) -> str:
    """A block of output; nothing if the text is empty."""
    return f'\n\n```{{.text title="prints"}}\n{text.rstrip()}\n```' if text.strip() else ""
