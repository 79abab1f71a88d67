"""Reads the section `Example:` of a docstring as what it is: code of an interactive session."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

SECTION = re.compile(r"^Example:$", re.MULTILINE)


class Examples(Extension):
    """Gives the section the name under which the parser of docstrings knows it."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Renames it, once the docstring is there."""
        if obj.docstring:
            obj.docstring.value = SECTION.sub("Examples:", obj.docstring.value)
