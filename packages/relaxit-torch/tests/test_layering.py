"""The packages do not lean on each other, nor on the tools that test them."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

import relaxit_torch


@cache
def modules_after_importing(package: str) -> frozenset[str]:
    """The modules that a fresh interpreter has loaded after `import package`."""
    script = f"import sys, {package}; print(*sys.modules)"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(
        [sys.executable, "-c", script], env=environment, capture_output=True, text=True, check=True
    )
    return frozenset(done.stdout.split())


@pytest.mark.parametrize(
    ("package", "foreign"),
    [
        ("relaxit_torch", "relaxit_reference"),
        ("relaxit_torch", "hypothesis"),
        ("relaxit_torch", "pytest"),
        ("relaxit_torch", "matplotlib"),
        ("relaxit_reference", "torch"),
        ("relaxit_reference", "pyro"),
        ("relaxit_reference", "relaxit_torch"),
        ("relaxit_reference", "hypothesis"),
        ("relaxit_reference", "pytest"),
    ],
)
def test_importing_a_package_does_not_import(package: str, foreign: str) -> None:
    loaded = modules_after_importing(package)
    assert package in loaded
    assert foreign not in loaded, f"import {package} imports {foreign}"


SOURCE = Path(relaxit_torch.__file__).parent
ROOMS = ("numerics", "core", "distributions")
"""From the lowest: a room imports itself and those before it, and nothing else of the package."""
FOREIGN = {
    "numerics": {"torch"},
    "core": {"torch", "pyro"},
    "distributions": {"torch"},
}


def imports(path: Path) -> set[str]:
    """The modules that a file imports, inside of functions and for type checks too."""
    package = ["relaxit_torch", *path.relative_to(SOURCE).parts[:-1]]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            module = ".".join([*base, *([node.module] if node.module else [])])
            found |= {f"{module}.{alias.name}" for alias in node.names}
    return found


def files(room: str = "") -> list[Path]:
    return sorted((SOURCE / room).rglob("*.py"))


def module_of(name: str) -> str | None:
    """The module of this package that an imported name belongs to, `nn.gates` for instance."""
    parts = name.split(".")
    if parts[0] != "relaxit_torch":
        return None
    while parts[1:] and not (
        SOURCE.joinpath(*parts[1:]).with_suffix(".py").is_file()
        or SOURCE.joinpath(*parts[1:], "__init__.py").is_file()
    ):
        parts.pop()
    return ".".join(parts[1:])


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_imports_only_what_lies_below_it(room: str) -> None:
    allowed = ROOMS[: ROOMS.index(room) + 1]
    assert files(room)
    for path in files(room):
        for name in imports(path):
            module = module_of(name)
            if module is None:
                top = name.split(".")[0]
                assert top in FOREIGN[room] or top in sys.stdlib_module_names, f"{path}: {name}"
            else:
                assert module.split(".")[0] in allowed, f"{path}: {name}"


def test_modules_do_not_import_each_other_in_a_circle() -> None:
    graph: dict[str, set[str]] = {}
    for path in files():
        parts = path.relative_to(SOURCE).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        if name:  # the package itself, which exports from all of them
            graph[name] = {m for n in imports(path) if (m := module_of(n)) and m != name}
    waiting = dict(graph)
    while waiting:
        free = [name for name, needs in waiting.items() if not needs & waiting.keys()]
        assert free, f"these import each other: {sorted(waiting)}"
        for name in free:
            del waiting[name]


def test_importing_the_package_computes_nothing() -> None:
    script = """
import torch, pyro.distributions
from torch.utils._python_dispatch import TorchDispatchMode

class Names(TorchDispatchMode):
    names = []
    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func._schema.name)
        return func(*args, **(kwargs or {}))

with Names() as mode:
    import relaxit_torch
assert not mode.names, mode.names
"""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    subprocess.run([sys.executable, "-c", script], env=environment, check=True)
