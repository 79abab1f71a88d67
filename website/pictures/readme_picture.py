"""Draws the picture of a README, which has no build, on white.

python -m website.pictures.readme_picture gumbel_softmax docs/images/gumbel_softmax.png
"""

from __future__ import annotations

import sys
from pathlib import Path

from relaxit_reference import load_spec

from .densities import samples_picture
from .themes import THEMES


def main(name: str, target: Path) -> None:
    """Writes the picture of one distribution."""
    light, *_ = THEMES
    with light.apply():
        samples_picture(load_spec(name)).draw(light).savefig(
            target, dpi=110, transparent=False, facecolor="white", metadata={"Software": None}
        )


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
