import csv
import json
from dataclasses import asdict
from typing import Any

import pytest
import torch
from PIL import Image
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from relaxit_vae import (
    VAE,
    Config,
    InputError,
    TrainingError,
    evaluate,
    reconstruct,
    sample,
    train,
)
from relaxit_vae.latents import LATENTS
from relaxit_vae.runs import values


@pytest.fixture(scope="module")
def run(mnist, tmp_path_factory):
    """One tiny finished run that several tests look at."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    options: dict[str, Any] = {"latent": "gumbel-softmax", "variables": 3, "categories": 5}
    config = Config(epochs=2, hidden=(16,), data_dir=mnist, output=folder, **options)
    return train(config, quiet=True)


def metrics(run):
    return list(csv.DictReader((run.folder / "metrics.csv").read_text().splitlines()))


def weights(run):
    return VAE.load(run.checkpoint).state_dict()


def same(first, second):
    return all(torch.equal(first[name], second[name]) for name in first)


def test_a_run_leaves_its_options(run, mnist):
    options = json.loads((run.folder / "config.json").read_text())
    assert options == VAE.load(run.checkpoint).config.plain()
    assert (options["latent"], options["variables"], options["hidden"]) == (
        "gumbel-softmax",
        3,
        [16],
    )
    assert Config.from_plain(options).data_dir == mnist


@pytest.mark.parametrize(
    ("name", "size"),
    [("reconstruction.png", (873, 351)), ("samples.png", (873, 873)), ("loss.png", (1350, 350))],
)
def test_a_run_leaves_pictures(run, name, size):
    with Image.open(run.folder / name) as picture:
        assert picture.size == size


def test_a_run_shows_what_each_category_changes(run):
    with Image.open(run.folder / "latent.png") as picture:
        assert picture.width > picture.height


def test_a_run_leaves_logs_of_every_epoch(run):
    rows = metrics(run)
    assert [(row["epoch"], row["step"]) for row in rows] == [("1", "1"), ("2", "2")]
    for column in ("train/elbo", "train/kl", "train/reconstruction", "test/elbo", "seconds"):
        assert all(abs(float(row[column])) >= 0 for row in rows), column
    log = EventAccumulator(str(run.folder / "tensorboard")).Reload()
    assert {"train/elbo", "train/kl", "test/elbo", "temperature"} <= set(log.Tags()["scalars"])
    assert {"reconstruction", "samples", "latent", "loss"} == set(log.Tags()["images"])


def test_a_run_leaves_its_evaluation(run):
    assert json.loads((run.folder / "evaluation.json").read_text()) == asdict(run.evaluation)


def test_the_checkpoint_is_the_trained_model(run, mnist):
    evaluation = evaluate(run.checkpoint, data_dir=mnist)
    assert evaluation == run.evaluation
    assert evaluation.images == 50
    assert evaluation.elbo == pytest.approx(evaluation.reconstruction - evaluation.kl)
    assert evaluation.elbo == pytest.approx(float(metrics(run)[-1]["test/elbo"]))
    assert (evaluation.units, evaluation.code) == (3, "discrete")


def test_drawing_is_a_function_of_the_seed(run, mnist):
    digits = sample(run.checkpoint, count=7, seed=1)
    assert digits.shape == (7, 784)
    assert torch.equal(digits, sample(run.checkpoint, count=7, seed=1))
    assert not torch.equal(digits, sample(run.checkpoint, count=7, seed=2))
    originals, reconstructions = reconstruct(run.checkpoint)
    assert originals.shape == reconstructions.shape == (20, 784)


def test_training_is_a_function_of_the_seed(config, tmp_path):
    runs = [
        train(config(seed=seed, output=tmp_path / name), quiet=True)
        for seed, name in [(0, "a"), (0, "b"), (1, "c")]
    ]
    first, again, other = map(weights, runs)
    assert same(first, again)
    assert not same(first, other)


def test_every_epoch_sees_all_images_in_a_new_order(config, few, monkeypatch):
    seen, step = [], VAE.training_step

    def watched(self, batch, batch_idx):
        seen.append(batch.images)
        return step(self, batch, batch_idx)

    monkeypatch.setattr(VAE, "training_step", watched)
    train(config(epochs=2, batch_size=30), quiet=True)
    assert len(seen) == 2 * 4
    epochs = [few[:].sum(1), torch.cat(seen[:4]).sum(1), torch.cat(seen[4:]).sum(1)]
    for first, second in [(0, 1), (1, 2)]:
        assert not torch.equal(epochs[first], epochs[second])
        assert torch.equal(epochs[first].sort().values, epochs[second].sort().values)


def test_the_random_state_of_the_caller_is_left_alone(config):
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    train(config(), quiet=True)
    assert torch.equal(torch.rand(3), expected)


@pytest.mark.parametrize("latent", ["binary-concrete", "gumbel-softmax"])
@pytest.mark.parametrize("hard", [False, True])
def test_training_improves_the_bound(config, latent, hard):
    """By 5 nats at least. Decoders of discrete codes begin with the mean image."""
    options = {
        "latent": latent,
        "hard": hard,
        "variables": 4,
        "categories": 4,
        "batch_size": 10,
        "learning_rate": 3e-3,
    }
    run = train(config(epochs=30, hidden=(64,), **options), quiet=True)
    bounds = [float(row["test/elbo"]) for row in metrics(run)]
    assert run.evaluation.elbo == pytest.approx(bounds[-1], abs=5)
    assert bounds[-1] > bounds[0] + 5


def test_a_run_is_overwritten_only_when_told(config):
    train(config(), quiet=True)
    with pytest.raises(InputError, match="--output must be a new folder unless --overwrite or"):
        train(config(seed=1), quiet=True)
    assert json.loads((config().folder / "config.json").read_text())["seed"] == 0
    train(config(seed=1), overwrite=True, quiet=True)
    assert json.loads((config().folder / "config.json").read_text())["seed"] == 1


def test_what_is_not_a_run_is_never_removed(config, tmp_path):
    (tmp_path / "thesis.tex").write_text("the only copy")
    with pytest.raises(InputError, match="is something else"):
        train(config(output=tmp_path), overwrite=True, quiet=True)
    assert (tmp_path / "thesis.tex").read_text() == "the only copy"


def test_unusable_options_leave_no_folder(config, tmp_path):
    with pytest.raises(InputError, match="--latent must be one of"):
        train(config(latent="concrete"), quiet=True)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("latent", LATENTS)
def test_every_latent_trains_with_the_same_command(config, latent):
    options = {"variables": 3, "categories": 4, "batch_size": 50}
    run = train(config(latent=latent, **options), quiet=True, importance_samples=5)
    assert -1000 < run.evaluation.elbo < 0
    assert -1000 < run.evaluation.bound < 0


@pytest.mark.parametrize(
    "options",
    [
        {"precision": "64-true"},
        {"precision": "bf16-mixed"},
        {"optimizer": "adamw"},
        {"optimizer": "sgd"},
        {"prior": "learned"},
        {"binarize": "dynamic"},
        {"kl": "relaxed"},
    ],
    ids=lambda options: "-".join(map(str, *options.items())),
)
def test_options_train(config, options):
    run = train(config(batch_size=20, **options), quiet=True, importance_samples=3)
    assert -1000 < run.evaluation.bound < 0


def test_a_single_step_has_the_first_temperature(config):
    options = {"temperature": 1.0, "final_temperature": 0.1, "batch_size": 1000}
    run = train(config(**options), quiet=True, importance_samples=1)
    assert VAE.load(run.checkpoint).latent.temperature == 1.0


def test_the_temperature_is_annealed_and_kept(config):
    options = {"temperature": 1.0, "final_temperature": 0.25, "annealing": "linear"}
    run = train(config(epochs=2, batch_size=50, **options), quiet=True, importance_samples=3)
    assert [float(row["temperature"]) for row in metrics(run)] == [0.75, 0.25]
    assert VAE.load(run.checkpoint).latent.temperature == 0.25


def test_a_loss_that_is_not_finite_stops_the_run(config):
    with pytest.raises(TrainingError) as error:
        train(config(learning_rate=1e30, batch_size=20, epochs=3), quiet=True)
    for part in ("at step ", "temperature 0.5", "of the encoder are not finite"):
        assert part in str(error.value)
    assert "\n" not in str(error.value)


def test_values_of_a_variable():
    assert values(torch.Size([])).tolist() == [0, 1]
    assert torch.equal(values(torch.Size([3])), torch.eye(3))
    assert values(torch.Size([2, 3])).argmax(-1).tolist() == [[0, 1], [1, 2], [2, 0]]


@pytest.mark.filterwarnings(r"ignore:The \.grad attribute:UserWarning")  # Dynamo asks for it
def test_compiled_networks_train_to_the_same_parameters(config, tmp_path, monkeypatch):
    compile_module = torch.nn.Module.compile
    monkeypatch.setattr(  # no machine code: that needs a compiler for C++
        torch.nn.Module,
        "compile",
        lambda module, **options: compile_module(module, backend="eager", **options),
    )
    plain = train(config(), quiet=True, importance_samples=2)
    compiled = train(
        config(compile=True, output=tmp_path / "compiled"), quiet=True, importance_samples=2
    )
    assert compiled.evaluation == plain.evaluation
