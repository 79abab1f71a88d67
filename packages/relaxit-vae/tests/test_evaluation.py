"""Compares bounds with the enumeration of all codes, and checks what they must not depend on."""

import dataclasses
import itertools
import math
from typing import Any

import pytest
import torch
from torch import nn

from relaxit_vae import VAE, Config, evaluate, train
from relaxit_vae.codes import Code
from relaxit_vae.data import Piece, load_images
from relaxit_vae.evaluation import log_weights, moments
from relaxit_vae.latents import LATENTS
from relaxit_vae.objective import log_likelihood, log_mean_exp

BITS = 8


@pytest.fixture(scope="module")
def images():
    return load_images("test")[:5]


def fresh(**options):
    """A model without training, whose posterior and likelihoods vary by about a nat between codes.

    So importance weights have a relative variance of some units.
    """
    torch.manual_seed(0)
    model = VAE(Config(hidden=(16,), binarize="threshold", **options)).eval()
    encoded, decoded = model.encoder[-1], model.decoder[-1]
    assert isinstance(encoded, nn.Linear)
    assert isinstance(decoded, nn.Linear)
    with torch.no_grad():
        encoded.weight *= 3
        prior = model.latent.prior()
        raw = [model.latent.transforms[n].inv(getattr(prior, n)) for n in model.latent.row.emits]
        encoded.bias.copy_(torch.cat([values.flatten() for values in raw]))
        decoded.weight *= 0.4
        for raw in model.latent.shared.values():
            raw += 0.1
    return model


@torch.no_grad()
def exact(model, images, codes):
    """Returns log p(image) of the model with a uniform prior, summed over all codes."""
    images = (images > 0.5).float()
    likelihood = log_likelihood(images, model.decode(codes)[:, None])  # (codes, images)
    return likelihood.double().logsumexp(0) - math.log(len(codes))


def bits():
    return torch.tensor(list(itertools.product([0.0, 1.0], repeat=BITS)))


def rows():
    """All ordered choices of 2 of 5 categories, for each of two variables."""
    one = torch.stack([torch.eye(5)[list(p)] for p in itertools.permutations(range(5), 2)])
    return torch.stack([torch.stack(pair) for pair in itertools.product(one, repeat=2)])


def figures(model, images, importance_samples, seed=0):
    piece = Piece(images, 0, 0, len(images))
    found = moments(model, piece, seed=seed, importance_samples=importance_samples)
    return {
        name: (sums[0] / len(images)).mean().item() for name, sums in found.items() if sums.ndim
    }


@torch.no_grad()
def code_bound(model, images, importance_samples):
    images = (images > 0.5).float()
    code, prior = Code.of(model.posterior(images)), model.latent.code_prior()
    both = (code.distribution, prior, code.read)
    weights = log_weights(model, images, slice(None), importance_samples, *both)
    return log_mean_exp(weights).mean().item()


BINARY = [
    "binary-concrete",
    "correlated-relaxed-bernoulli",
    "gaussian-relaxed-bernoulli",
    "hard-concrete",
    "stochastic-times-smooth",
    "straight-through-bernoulli",
]


@pytest.mark.parametrize("latent", BINARY)
def test_the_bound_equals_the_enumeration_of_all_256_codes(images, latent):
    model = fresh(latent=latent, variables=BITS)
    bound = code_bound(model, images, 20_000)
    assert bound == pytest.approx(exact(model, images, bits()).mean().item(), abs=0.01)


def test_the_bound_of_ordered_rows_equals_their_enumeration(images):
    model = fresh(latent="gumbel-softmax-top-k", variables=2, categories=5, hard=True)
    bound = code_bound(model, images, 20_000)
    assert bound == pytest.approx(exact(model, images, rows()).mean().item(), abs=0.01)


@pytest.mark.parametrize("latent", ["binary-concrete", "gumbel-softmax"])
def test_one_sample_is_below_many_and_many_are_below_the_truth(images, latent):
    model = fresh(latent=latent, variables=BITS, categories=2)
    codes = bits()
    if model.latent.code_shape != (BITS,):
        codes = torch.stack([1 - codes, codes], dim=-1)
    one, many = figures(model, images, 1), figures(model, images, 2000)
    truth = exact(model, images, codes).mean().item()
    assert one["elbo"] == pytest.approx(one["reconstruction"] - one["kl"], abs=1e-3)
    assert one["elbo"] < many["bound"] < truth + 0.05


def test_the_bound_of_all_draws_is_at_least_the_mean_bound_of_the_halves(images):
    """Jensen's inequality, exactly, for the draws of an evaluation."""
    model = fresh(latent="binary-concrete", variables=BITS)
    posterior, prior = Code.of(model.posterior(images)).distribution, model.latent.code_prior()
    with torch.no_grad():
        weights = list(
            log_weights(model, images, slice(None), 200, posterior, prior, lambda value: value)
        )
    assert sum(map(len, weights)) == 200
    middle = len(weights) // 2
    halves = torch.stack([log_mean_exp(weights[:middle]), log_mean_exp(weights[middle:])])
    assert (log_mean_exp(weights) >= halves.mean(0)).all()


def test_the_relaxed_bound_is_a_bound_of_the_relaxed_model(images):
    """It grows with the number of samples, and is above its one-sample value."""
    model = fresh(latent="binary-concrete", variables=BITS, kl="relaxed")
    few, many = (figures(model, images, n)["relaxed_bound"] for n in (1, 1000))
    assert few < many < 0


@pytest.mark.parametrize(
    ("latent", "hard"),
    [(name, False) for name in LATENTS]
    + [(name, True) for name, row in LATENTS.items() if "hard" in row.options],
)
def test_the_default_objective_is_below_the_likelihood_of_a_model_that_is_evaluated(
    images, latent, hard
):
    """Its mean plus five standard errors is below the importance-weighted bound of many samples."""
    model = fresh(latent=latent, variables=3, categories=4, hard=hard)
    if "relaxed" not in model.latent.divergences:
        assert model.kl == "discrete"  # the one whose objective is no bound
        return
    with torch.no_grad():
        model.encoder[-1].weight *= 3  # distinct posteriors: some nats of divergence
        images = (images > 0.5).float()
        objective = torch.stack([model.objective(images).elbo for _ in range(1000)])
    error = objective.std(0).norm() / math.sqrt(objective.numel() * len(images))
    found = figures(model, images, 2000)
    truth = found.get("relaxed_bound", found["bound"])
    assert objective.mean() + 5 * error < truth


@pytest.fixture(scope="module")
def run(mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("evaluation") / "run"
    options: dict[str, Any] = {"epochs": 1, "hidden": (16,), "variables": 4, "binarize": "dynamic"}
    return train(Config(data_dir=mnist, output=folder, **options), quiet=True)


def numbers(evaluation):
    return [v for v in dataclasses.astuple(evaluation) if isinstance(v, int | float)]


@pytest.mark.parametrize("batch_size", [1, 7, 50, 1000])
def test_figures_do_not_depend_on_the_batch_size(run, mnist, batch_size):
    options = {"data_dir": mnist, "importance_samples": 150}
    expected = evaluate(run.checkpoint, **options)
    found = evaluate(run.checkpoint, batch_size=batch_size, **options)
    assert numbers(found) == pytest.approx(numbers(expected), abs=1e-4)
    assert found.images == 50


def test_figures_are_a_function_of_the_seed(run, mnist):
    first, again, other = (
        evaluate(run.checkpoint, data_dir=mnist, seed=seed, importance_samples=10)
        for seed in (1, 1, 2)
    )
    assert first == again
    assert first.bound != other.bound


def test_pieces_of_blocks_add_up(images):
    """Batches may begin and end within blocks of noise."""
    model = fresh(latent="binary-concrete", variables=4)
    test = load_images("test")
    options = {"seed": 0, "importance_samples": 3}
    whole = moments(model, Piece(test[:250], 0, 0, 250), **options)
    parts = [
        moments(model, Piece(test[:200], 0, 0, 130), **options),
        moments(model, Piece(test[100:250], 1, 30, 150), **options),
    ]
    for name, sums in whole.items():
        added = torch.stack([part[name] for part in parts]).sum(0)
        assert torch.allclose(added, sums, rtol=1e-6), name
