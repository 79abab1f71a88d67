"""Two processes on one machine, by Lightning's own strategy."""

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from relaxit_vae import VAE, Config
from relaxit_vae.data import Batch, IndexBatches

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


def test_the_mean_gradient_of_unequal_shares_equals_the_gradient_of_the_whole_batch(
    few, monkeypatch
):
    """Gradients show a wrong scale of the loss; bounds after a few epochs would not.

    The expectation over all codes is exact, so that shares and batch differ by no noise.
    """
    torch.manual_seed(0)
    options: dict[str, Any] = {"latent": "gumbel-softmax", "variables": 2, "categories": 3}
    vae = VAE(Config(estimator="exact", hidden=(16,), **options)).double()
    images = few[:15].double()
    parameters = [parameter for parameter in vae.parameters() if parameter.requires_grad]
    whole = torch.autograd.grad(-vae.objective(images).elbo.mean(), parameters)

    monkeypatch.setattr(VAE, "trainer", SimpleNamespace(world_size=2))
    vae.on_train_epoch_start()
    shares, sizes = [], []
    for process in range(2):
        ((index, total),) = IndexBatches(15, 15, process=process, processes=2)
        loss = vae.training_step(Batch(images[index], total), 0)
        shares.append(torch.autograd.grad(loss, parameters))
        sizes.append(len(index))
    assert sizes == [8, 7]
    for expected, one, two in zip(whole, *shares, strict=True):
        assert expected.abs().sum() > 0
        # Sums of 15 terms in another order, in float64.
        torch.testing.assert_close((one + two) / 2, expected, rtol=1e-10, atol=1e-12)


def test_two_processes_evaluate_to_the_same_figures(runs, mnist):
    alone = figures(runs, "one", "--data-dir", mnist)
    shared = figures(runs, "one", "--data-dir", mnist, *SHARED, "--batch-size", "33")
    assert shared == pytest.approx(alone, abs=1e-4)
