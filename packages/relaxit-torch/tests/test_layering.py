"""The packages do not lean on each other, nor on the tools that test them."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

import pytest


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
