"""Lets a folder stand in `nav` of `mkdocs.yml` for all of its pages."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Replaces every folder in `nav` by its pages, in the order of their names."""
    config.nav = with_folders(config.nav or [], Path(config.docs_dir))
    return config


def with_folders(entries: list[Any], root: Path) -> list[Any]:
    """The same entries, with the pages of each folder in its place. An index comes first."""
    found: list[Any] = []
    for entry in entries:
        ((title, target),) = entry.items()
        if isinstance(target, list):
            found.append({title: with_folders(target, root)})
        elif target.endswith("/"):
            pages = sorted(
                root.glob(f"{target}*.md"), key=lambda page: (page.stem != "index", page)
            )
            paths = [page.relative_to(root).as_posix() for page in pages]
            found.append(
                {title: [{"Overview": p} if p.endswith("/index.md") else p for p in paths]}
            )
        else:
            found.append(entry)
    return found
