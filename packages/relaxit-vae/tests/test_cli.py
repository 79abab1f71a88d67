import json
import subprocess
import sys

import pytest
from typer.testing import CliRunner

from relaxit_vae.cli import app


def call(*arguments):
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def checkpoint(mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("cli") / "run"
    options = ["--epochs", 1, "--hidden", "16,8", "--variables", 5, "--data-dir", mnist]
    result = call("train", *options, "--output", folder, "--quiet")
    assert (result.exit_code, result.output) == (0, "")
    options = json.loads((folder / "config.json").read_text())
    assert (options["hidden"], options["variables"]) == ([16, 8], 5)
    return folder / "checkpoints" / "last.ckpt"


def test_evaluate_writes_figures_for_machines(checkpoint, mnist, tmp_path):
    path = tmp_path / "figures.json"
    result = call("evaluate", "--checkpoint", checkpoint, "--data-dir", mnist, "--json", path)
    figures = json.loads(path.read_text())
    assert result.exit_code == 0
    assert f"ELBO {figures['elbo']:.2f}" in result.output
    assert figures.keys() == {"elbo", "kl", "reconstruction", "images"}


@pytest.mark.parametrize(
    ("command", "name"), [("sample", "samples.png"), ("reconstruct", "reconstruction.png")]
)
def test_pictures_are_replaced_only_when_told(checkpoint, tmp_path, command, name):
    arguments = (command, "--checkpoint", checkpoint, "--output", tmp_path)
    assert call(*arguments).exit_code == 0
    picture = (tmp_path / name).read_bytes()
    refused = call(*arguments, "--seed", 1)
    assert refused.exit_code == 1
    assert "unless --overwrite" in refused.output
    assert call(*arguments, "--seed", 1, "--overwrite").exit_code == 0
    assert (tmp_path / name).read_bytes() != picture


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        ("train --latent concrete", "--latent must be one of "),
        ("train --epochs 0", "--epochs must be greater than 0, but got 0"),
        ("train --learning-rate nan", "--learning-rate must be greater than 0, but got nan"),
        ("train --temperature -1", "--temperature must be greater than 0, but got -1.0"),
        ("train --hidden 16,x", "--hidden must be sizes such as 512,256, but got 16,x"),
        ("train --hidden 16,0", "--hidden must be greater than 0, but got 0"),
        ("evaluate --checkpoint absent.ckpt", "absent.ckpt does not exist"),
        ("sample --checkpoint absent.ckpt", "absent.ckpt does not exist"),
        ("reconstruct --checkpoint .", "--checkpoint must be written by"),
    ],
)
def test_errors_are_one_line_and_a_status(arguments, complaint, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = call(*arguments.split())
    assert result.exit_code == 1
    assert result.stdout == ""
    (line,) = result.stderr.strip().splitlines()
    assert line.startswith("relaxit-vae: ")
    assert complaint in line


def test_a_damaged_data_file_is_one_line(tmp_path, mnist):
    raw = tmp_path / "MNIST" / "raw"
    raw.mkdir(parents=True)
    for path in (mnist / "MNIST" / "raw").iterdir():
        (raw / path.name).write_bytes(path.read_bytes()[:-1])
    result = call("train", "--data-dir", tmp_path, "--output", tmp_path / "run")
    assert result.exit_code == 1
    assert "train-images-idx3-ubyte: must have 78416 bytes" in result.stderr
    assert not (tmp_path / "run").exists()


def test_help_names_the_options():
    shown = call("train", "--help").output
    for name in ("latent", "hard", "temperature", "variables", "categories", "hidden", "epochs"):
        assert f"--{name} " in shown
    for name in ("batch-size", "learning-rate", "binarize", "seed", "data-dir", "output"):
        assert f"--{name} " in shown
    assert "--overwrite " in shown
    assert "--quiet " in shown
    assert "--no-" not in shown


def test_help_is_quick():
    program = (
        "import sys; from relaxit_vae.cli import app; app(['--help'], standalone_mode=False);"
        "print(sorted({'torch', 'lightning', 'matplotlib'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert shown.stdout.decode().splitlines()[-1] == "[]"
