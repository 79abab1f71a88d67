"""Every Python block of every README and guide runs, one after the other as a reader would."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
PAGES = [
    path
    for pattern in ("README.md", "packages/relaxit-[rt]*/README.md", "specs/*.md", "docs/*.md")
    for path in sorted(ROOT.glob(pattern))
]
BLOCK = re.compile(r"^```python\n(.*?)^```$", re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_python_blocks_of(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    text, names = page.read_text(encoding="utf-8"), {"__name__": "__main__"}
    for block in BLOCK.finditer(text):
        lines_before = text.count("\n", 0, block.start(1))
        exec(compile("\n" * lines_before + block[1], str(page), "exec"), names)


def test_every_page_installs_from_the_repository() -> None:
    written = [*PAGES, *ROOT.glob("docs/guides/*.md"), *ROOT.glob("packages/*/README.md")]
    commands = [
        (page.name, what)
        for page in written
        for what in re.findall(r"pip install ([^\n`#&]*)", page.read_text(encoding="utf-8"))
        if what.split() != ["nox"]
    ]
    assert len(commands) >= 7
    for page, what in commands:
        for word in what.split():
            assert word.startswith("./packages/"), page
            assert (ROOT / word / "pyproject.toml").is_file(), page


def test_the_example_of_the_readme_is_among_them() -> None:
    assert BLOCK.search((ROOT / "README.md").read_text(encoding="utf-8"))
