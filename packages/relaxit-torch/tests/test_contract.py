"""The hooks of the base class: its table, the guide and the code name the same ones."""

from __future__ import annotations

import ast
import inspect
import re
from pathlib import Path

import relaxit_torch
from relaxit_torch import RelaxedDistribution

GUIDE = Path(__file__).parents[3] / "docs" / "add-a-distribution.md"
SOURCE = Path(relaxit_torch.__file__).parent
ROW = re.compile(r"^ *\| `(_\w+)(?:\(.*?\))?`", re.MULTILINE)


def named_in(text: str) -> list[str]:
    return ROW.findall(text)


def test_the_table_of_the_base_class_and_of_the_guide_are_the_same() -> None:
    table = named_in(inspect.getdoc(RelaxedDistribution) or "")
    assert len(table) > 10
    assert named_in(GUIDE.read_text(encoding="utf-8")) == table


def test_every_hook_of_the_table_is_a_member_of_the_base_class() -> None:
    for name in named_in(inspect.getdoc(RelaxedDistribution) or ""):
        assert name in vars(RelaxedDistribution), name


def test_distributions_override_hooks_only() -> None:
    """A public method of the base is written once: no distribution has its own."""
    public = {
        name
        for name, value in vars(RelaxedDistribution).items()
        if not name.startswith("_") and (callable(value) or isinstance(value, property))
    }
    for path in [*(SOURCE / "distributions").glob("*.py"), SOURCE / "core" / "families.py"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef):
                own = {item.name for item in node.body if isinstance(item, ast.FunctionDef)}
                assert not own & public, f"{path.name}: {node.name} overrides {own & public}"
