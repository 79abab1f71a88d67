"""A figure in every theme, as files and as Markdown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from matplotlib.figure import Figure

from .themes import THEMES, Theme


@dataclass(frozen=True)
class Picture:
    """A figure that can be drawn in every theme."""

    name: str
    title: str
    caption: str
    draw: Callable[[Theme], Figure] = field(repr=False)

    def written(self, folder: Path) -> str:
        """Writes `name-light.svg` and `name-dark.svg`; Markdown that shows them, with a caption.

        The reader's theme shows one of the two. The text is for a page beside the folder.
        """
        for theme in THEMES:
            with theme.apply():
                figure = self.draw(theme)
                figure.savefig(
                    folder / f"{self.name}-{theme.name}.svg", dpi=150, metadata={"Date": None}
                )
        files = [
            f"![{self.title}]({folder.name}/{self.name}-{theme.name}.svg#only-{theme.name})"
            for theme in THEMES
        ]
        return "\n".join(files) + f"\n\n*{self.caption}*"
