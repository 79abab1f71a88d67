"""The programs that build and check the site. The pages themselves are in `docs/`."""

from pathlib import Path

DOCS = Path(__file__).parents[1] / "docs"
