import csv
import json

import pytest
import torch
from PIL import Image

from relaxit_vae import VAE, Config, InputError, evaluate, reconstruct, sample, train
from relaxit_vae.runs import METRICS


@pytest.fixture(scope="module")
def run(mnist, tmp_path_factory):
    """One tiny finished run that several tests look at."""
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    options = {"latent": "gumbel-softmax", "variables": 3, "categories": 5, "hidden": (16,)}
    return train(Config(epochs=2, data_dir=mnist, output=folder, **options), quiet=True)


def metrics(run):
    return list(csv.DictReader((run.folder / METRICS).read_text().splitlines()))


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
    [("reconstruction.png", (873, 351)), ("samples.png", (873, 873)), ("loss.png", (900, 600))],
)
def test_a_run_leaves_pictures(run, name, size):
    with Image.open(run.folder / name) as picture:
        assert picture.size == size


def test_a_run_leaves_logs_of_every_epoch(run):
    rows = metrics(run)
    for column in ("train/elbo", "train/kl", "train/reconstruction", "test/elbo"):
        assert len([row for row in rows if row[column]]) == 2, column
    assert list((run.folder / "tensorboard").glob("events.out.tfevents.*"))


def test_the_checkpoint_is_the_trained_model(run, mnist):
    evaluation = evaluate(run.checkpoint, data_dir=mnist)
    assert evaluation == run.evaluation
    assert evaluation.images == 50
    assert evaluation.elbo == pytest.approx(evaluation.reconstruction - evaluation.kl)


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

    def watched(self, batch):
        seen.append(batch)
        return step(self, batch)

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
    options = {"latent": latent, "hard": hard, "batch_size": 10, "learning_rate": 3e-3}
    run = train(config(epochs=8, **options), quiet=True)
    bounds = [float(row["test/elbo"]) for row in metrics(run) if row["test/elbo"]]
    assert run.evaluation.elbo == pytest.approx(bounds[-1], abs=5)
    assert bounds[-1] > bounds[0] + 50
    assert run.evaluation.elbo > -260


def test_a_run_is_overwritten_only_when_told(config):
    train(config(), quiet=True)
    with pytest.raises(InputError, match="--output must be a new folder unless --overwrite"):
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
