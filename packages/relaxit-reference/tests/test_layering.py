"""Arrows point down: a room imports only the rooms below it, and no modules import in a circle."""

from __future__ import annotations

import ast
import graphlib
import re
from collections.abc import Iterator
from importlib.util import resolve_name
from pathlib import Path

import pytest

import relaxit_reference

PACKAGE = "relaxit_reference"
ROOT = Path(relaxit_reference.__file__).parent

LAYERS = [
    {"domains"},
    {"typed_tables", "rows"},
    {"spec"},
    {"distribution"},
    {"distributions"},
    {"laplace_bridge", "comparison"},
    {"checking", "testing"},
    {PACKAGE},  # the package itself, which users import
]
"""A room may import the rooms of the lines above it, and its own modules."""

LEVELS = {room: level for level, rooms in enumerate(LAYERS) for room in rooms}


def name_of(path: Path) -> str:
    parts = [PACKAGE, *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(part for part in parts if part != "__init__")


def room(module: str) -> str:
    return (module.split(".")[1:] or [PACKAGE])[0]


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imports(module: str) -> Iterator[str]:
    """The modules of the package that `module` imports, at its top or inside of functions."""
    path = MODULES[module]
    package = module if path.name == "__init__.py" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = resolve_name("." * node.level + (node.module or ""), package)
            names = [f"{base}.{alias.name}" for alias in node.names]
        for name in names:
            if name.partition(".")[0] == PACKAGE:
                yield name if name in MODULES else name.rpartition(".")[0]


@pytest.mark.parametrize("module", MODULES)
def test_a_module_imports_its_own_room_and_the_rooms_below_it(module: str) -> None:
    assert room(module) in LEVELS, f"state in LAYERS where {room(module)} belongs"
    for found in imports(module):
        below = LEVELS[room(found)] < LEVELS[room(module)]
        assert room(found) == room(module) or below, f"{module} must not import {found}"


def test_no_modules_import_in_a_circle() -> None:
    graphlib.TopologicalSorter({module: set(imports(module)) for module in MODULES}).prepare()


def test_only_the_strategies_import_hypothesis() -> None:
    users = [
        name
        for name, path in MODULES.items()
        if re.search(r"(from|import) hypothesis", path.read_text(encoding="utf-8"))
    ]
    assert users == [f"{PACKAGE}.testing.strategies"]


def test_the_rules_see_the_imports() -> None:
    assert f"{PACKAGE}.checking.check" in imports(PACKAGE)
    assert f"{PACKAGE}.comparison.quadrature" in imports(f"{PACKAGE}.testing.statistics")
    assert f"{PACKAGE}.domains" in imports(f"{PACKAGE}.spec")
