import json
import subprocess
import sys
from dataclasses import fields

import pytest
from typer.testing import CliRunner

import relaxit_vae
from relaxit_vae import Config
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
    assert {"elbo", "bound", "bound_stderr", "kl", "reconstruction"} <= figures.keys()
    assert figures["about"]["command"]


def test_a_config_file_holds_all_options_and_others_prevail(checkpoint, tmp_path):
    path = checkpoint.parents[1] / "config.json"
    folder = tmp_path / "again"
    arguments = ("--output", folder, "--variables", 7, "--importance-samples", 1, "--quiet")
    assert call("train", "--config", path, *arguments).exit_code == 0
    before, after = (json.loads(file.read_text()) for file in (path, folder / "config.json"))
    assert after == before | {"output": str(folder), "variables": 7}


def test_a_run_continues_with_its_options(checkpoint, tmp_path):
    folder = checkpoint.parents[1]
    result = call("train", "--resume", "--output", folder, "--importance-samples", 1)
    assert result.exit_code == 0
    refused = call("train", "--resume", "--output", folder, "--epochs", 9)
    assert refused.exit_code == 1
    assert "--epochs must be 1, as when the run in" in refused.stderr


def test_compare_prints_its_table(mnist, tmp_path):
    options = ["--epochs", 1, "--hidden", 8, "--data-dir", mnist, "--importance-samples", 1]
    folder, figures = tmp_path / "compare", tmp_path / "figures.json"
    arguments = ("--latent", "binary-concrete", "--output", folder, "--json", figures, "--quiet")
    result = call("compare", *arguments, *options)
    assert (result.exit_code, result.stdout) == (0, "")
    assert json.loads(figures.read_text())["rows"][0]["latent"] == "binary-concrete"
    result = call("compare", "--resume", *arguments[:-1], *options)
    assert (folder / "compare.md").read_text().strip() in result.stdout


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
        ("train --learning-rate inf", "--learning-rate must be greater than 0 and finite"),
        ("train --k 2", "--k must be an option of the latent, but binary-concrete has none"),
        ("train --latent hard-concrete --kl closed-form", "--kl must be a divergence that the lat"),
        ("train --resume", "--resume must find a run in --output, but runs/binary-concrete/config"),
        ("train --config absent.json", "--config must be a file, but absent.json does not exist"),
        (
            "compare --latent hard-concrete,binary-concrete:x=1",
            "options of --latent must be those of train, but got x=1 in binary-concrete:x=1",
        ),
        (
            "train --latent gumbel-softmax --estimator reinmax:temperature=1.3 --temperature 0.5",
            "--temperature must be left out where the estimator has a temperature of its own, "
            "but got 0.5 with reinmax:temperature=1.3",
        ),
        ("train --hidden 16,0", "--hidden must be greater than 0, but got 0"),
        ("evaluate --checkpoint absent.ckpt", "absent.ckpt does not exist"),
        ("sample --checkpoint absent.ckpt", "absent.ckpt does not exist"),
        ("reconstruct --checkpoint .", "--checkpoint must be written by"),
        ("train --strategy nonsense", "--devices, --strategy and --accelerator must be what Li"),
        ("train --accelerator nonsense", "--devices, --strategy and --accelerator must be what"),
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
    assert not list(tmp_path.rglob("*"))


def test_every_command_is_a_function_too():
    for command in app.registered_commands:
        assert command.callback is not None
        name = command.name or command.callback.__name__
        assert callable(getattr(relaxit_vae, name))


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
    for declared in fields(Config):
        assert f"--{declared.name.replace('_', '-')} " in shown
    for name in ("config", "importance-samples", "resume", "overwrite", "quiet"):
        assert f"--{name} " in shown
    assert "--no-" not in shown


def test_help_is_quick():
    program = (
        "import sys; from relaxit_vae.cli import app; app(['--help'], standalone_mode=False);"
        "print(sorted({'torch', 'lightning', 'matplotlib'} & sys.modules.keys()))"
    )
    shown = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert shown.stdout.decode().splitlines()[-1] == "[]"
