"""Writes a page for every specification and every file of results, for `mkdocs` to build.

python -m website.pages.generate
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

from relaxit_reference import load_specs
from website import DOCS

from . import maths_pages, overview, results_pages

MATHS, MEASURED = DOCS / "maths", DOCS / "measured"


def main() -> None:
    """Deletes the generated pages and writes them again."""
    for folder in (MATHS, MEASURED):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "pictures").mkdir(parents=True)
    specs = load_specs()
    write(MATHS, {f"{spec.name}.md": maths_pages.page(spec, MATHS / "pictures") for spec in specs})
    (MATHS / "overview.txt").write_text(overview.overview(specs), encoding="utf-8")
    write(MEASURED, results_pages.pages(MEASURED / "pictures"))


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Writes each text to the file of its name."""
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(pages)} pages in {folder.relative_to(DOCS.parent)}")


if __name__ == "__main__":
    main()
