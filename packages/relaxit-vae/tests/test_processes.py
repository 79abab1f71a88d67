"""Two processes on one machine, by Lightning's own strategy."""

import json
import subprocess
import sys

import pytest

SHARED = ["--devices", "2", "--strategy", "ddp", "--accelerator", "cpu"]


def call(*arguments):
    program = [sys.executable, "-m", "relaxit_vae"]
    finished = subprocess.run(
        [*program, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert finished.returncode == 0, finished.stderr
    return finished


@pytest.fixture(scope="module")
def runs(tmp_path_factory, mnist):
    """The same options with one process and with two."""
    root = tmp_path_factory.mktemp("processes")
    options = ["--epochs", 8, "--hidden", "32", "--batch-size", 15, "--data-dir", mnist]
    for name, more in [("one", []), ("two", SHARED)]:
        call("train", *options, *more, "--output", root / name, "--quiet")
    return root


def figures(root, name, *more):
    path = root / "figures.json"
    checkpoint = root / name / "checkpoints" / "last.ckpt"
    call("evaluate", "--checkpoint", checkpoint, "--json", path, "--quiet", *more)
    found = json.loads(path.read_text())
    return {key: value for key, value in found.items() if isinstance(value, int | float)}


def test_two_processes_train_to_the_same_bound(runs):
    """Each sees half of every batch, with noise of its own."""
    folders = runs / "one", runs / "two"
    one, two = (json.loads((folder / "evaluation.json").read_text()) for folder in folders)
    assert one["images"] == two["images"] == 50
    assert one["elbo"] == pytest.approx(two["elbo"], abs=5)  # 8 epochs of 7 steps: not converged
    last = [(folder / "metrics.csv").read_text().splitlines()[-1] for folder in folders]
    assert [row.split(",")[:2] for row in last] == [["8", "56"], ["8", "56"]]


def test_two_processes_evaluate_to_the_same_figures(runs, mnist):
    alone = figures(runs, "one", "--data-dir", mnist)
    shared = figures(runs, "one", "--data-dir", mnist, *SHARED, "--batch-size", "33")
    assert shared == pytest.approx(alone, abs=1e-4)
