"""The modules of the package form layers: no two import each other."""

import ast
import graphlib
from importlib.resources import files

PACKAGE = "relaxit_vae"


def imports(path, modules):
    """The modules of the package that a file imports anywhere, `TYPE_CHECKING` included."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path.name} has a relative import"
            assert node.module is not None
            names = [f"{node.module}.{alias.name}" for alias in node.names] + [node.module]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            module = rest.partition(".")[0]
            if package == PACKAGE and module in modules:
                yield module


def test_no_modules_import_each_other():
    paths = {path.name.removesuffix(".py"): path for path in files(PACKAGE).iterdir()}
    modules = {name: path for name, path in paths.items() if path.name.endswith(".py")}
    graph = {name: set(imports(path, modules)) for name, path in modules.items()}
    assert "autoencoder" in graph["evaluation"]
    assert "evaluation" in graph["module"]
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names a cycle
