"""Lets mkdocstrings read the section `Example:` of a docstring as an interactive session."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"^Example:$", re.MULTILINE)


class Examples(Extension):
    """Renames the section to `Examples:`, the name that the docstring parser knows."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        if obj.docstring:
            obj.docstring.value = SECTION.sub("Examples:", obj.docstring.value)
