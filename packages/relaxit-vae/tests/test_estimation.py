"""Training with gradient estimators by name, and comparing them."""

import functools
import itertools

import pytest
import torch
from PIL import Image
from torch.distributions import OneHotCategorical
from typer.testing import CliRunner

from relaxit_vae import VAE, Config, InputError, train
from relaxit_vae.cli import app
from relaxit_vae.codes import Code
from relaxit_vae.estimation import as_one_event, estimators_by_name, find_estimator
from relaxit_vae.gradient_quality import exact_gradient, gradients
from relaxit_vae.objective import log_likelihood

ONLY_BITS = {"arm", "disarm"}


def model(**options):
    torch.manual_seed(0)
    return VAE(Config(hidden=(16,), variables=2, categories=3, **options))


@pytest.mark.parametrize("latent", ["binary-concrete", "gumbel-softmax"])
@pytest.mark.parametrize("name", estimators_by_name())
def test_every_estimator_reaches_the_encoder_and_the_decoder(few, name, latent):
    if name in ONLY_BITS and latent == "gumbel-softmax":
        with pytest.raises(InputError, match=f"--estimator must suit the latent, but got {name}"):
            model(latent=latent, estimator=name)
        return
    vae = model(latent=latent, estimator=name)
    assert vae.kl == "discrete"
    terms = vae.objective(few[:20])
    assert terms.elbo.shape == (20,)
    (-terms.elbo.mean()).backward()
    for parameter, weight in vae.named_parameters():
        if weight.requires_grad:
            assert weight.grad.isfinite().all(), parameter
            assert weight.grad.abs().sum() > 0, parameter


def test_the_value_is_the_bound_of_a_discrete_code(few, codes):
    vae, images = model(latent="gumbel-softmax", estimator="reinmax"), few[:20]
    codes.clear()
    terms = vae.objective(images)
    code = codes[0].detach()
    assert set(code.unique().tolist()) == {0.0, 1.0}
    expected = log_likelihood(images, vae.decode(code))
    assert torch.equal(terms.reconstruction, expected)
    assert torch.equal(terms.elbo, terms.reconstruction - terms.kl)


def test_the_estimator_takes_the_temperature_of_the_run(few):
    def gradient(estimator, temperature):
        vae = model(latent="gumbel-softmax", estimator=estimator, temperature=temperature)
        torch.manual_seed(1)
        vae.objective(few[:20]).elbo.sum().backward()
        return vae.encoder[0].weight.grad

    assert torch.equal(gradient("reinmax", 1.3), gradient("reinmax:temperature=1.3", None))
    assert not torch.equal(gradient("reinmax", 1.3), gradient("reinmax", None))


@pytest.mark.parametrize("option", ["temperature", "final_temperature"])
def test_a_temperature_that_the_estimator_would_ignore_is_refused(option):
    flag = "--" + option.replace("_", "-")
    with pytest.raises(InputError, match=rf"^{flag} must be left out .* but got 0\.1 with reinmax"):
        model(latent="gumbel-softmax", estimator="reinmax:temperature=1.3", **{option: 0.1})
    model(latent="gumbel-softmax", estimator="exact", **{option: 0.1})  # that has none


def test_annealing_begins_at_the_temperature_of_the_estimator():
    vae = model(latent="gumbel-softmax", estimator="reinmax", final_temperature=0.1)
    assert (vae.first_temperature, vae.temperature_at(1.0)) == (1.0, 0.1)
    assert model(latent="gumbel-softmax", estimator="exact").first_temperature == 0.5


def test_an_estimator_and_a_latent_have_temperatures_of_their_own():
    vae = model(latent="hard-concrete", estimator="reinmax")
    vae.temperature = 0.3
    assert (vae.estimator.temperature, vae.latent.temperature) == (0.3, 2 / 3)
    vae = model(latent="hard-concrete", estimator="reinmax:temperature=1.3")
    vae.temperature = 0.3  # its options fix the temperature of the estimator
    assert (vae.estimator.temperature, vae.latent.temperature) == (None, 0.3)


@pytest.mark.parametrize("name", sorted({*estimators_by_name()} - ONLY_BITS))
def test_decoders_read_discrete_codes_except_with_gumbel_softmax(few, codes, name):
    vae = model(latent="gumbel-softmax", estimator=name)
    codes.clear()
    vae.objective(few[:20])
    assert set(codes[0].detach().unique().tolist()) <= {0.0, 1.0} or name == "gumbel-softmax"


def test_the_exact_gradient_is_the_gradient_of_the_sum_over_all_codes(few):
    vae = model(latent="gumbel-softmax", binarize="threshold").double()
    images = (few[:5] > 0.5).double()
    logits = torch.randn(5, 2, 3, dtype=torch.float64, requires_grad=True)
    codes = as_one_event(OneHotCategorical(logits=logits), vae.latent.code_prior())
    total = torch.zeros((), dtype=torch.float64)
    for choice in itertools.product(range(3), repeat=2):
        code = torch.eye(3, dtype=torch.float64)[list(choice)].expand(5, 2, 3)
        values = log_likelihood(images, vae.decode(code))
        total = total + (codes.log_prob(code).exp() * values).sum()
    (by_hand,) = torch.autograd.grad(total, logits)
    assert torch.allclose(exact_gradient(vae, codes, images), by_hand, atol=1e-9)


@pytest.fixture(scope="module")
def checkpoint(mnist, tmp_path_factory):
    folder = tmp_path_factory.mktemp("estimation") / "run"
    options = {"epochs": 2, "hidden": (16,), "variables": 2, "categories": 3, "data_dir": mnist}
    config = Config(latent="gumbel-softmax", estimator="reinmax", output=folder, **options)
    return train(config, quiet=True).checkpoint


def test_unbiased_estimators_average_to_the_exact_gradient(checkpoint, mnist):
    names = ["score-function:samples=8:baseline=leave-one-out", "exact", "straight-through"]
    report = gradients(checkpoint, estimators=names, samples=2000, images=4, data_dir=mnist)
    unbiased, exact, biased = report.rows
    assert unbiased.bias_squared < 5 * unbiased.bias_squared_stderr  # false alarm below 1e-6
    assert unbiased.cosine_of_mean > 0.95
    assert exact.cosine_of_mean == pytest.approx(1)
    assert exact.variance < 1e-9
    assert biased.bias_squared > 5 * biased.bias_squared_stderr


@pytest.mark.parametrize("images", [0, 51])
def test_gradients_refuse_more_images_than_there_are_and_none(checkpoint, mnist, images):
    with pytest.raises(InputError, match=f"--images must be among 1 to 50, but got {images}"):
        gradients(checkpoint, images=images, data_dir=mnist)


def test_gradients_are_a_function_of_the_seed(checkpoint, mnist):
    options = {"samples": 10, "images": 3, "data_dir": mnist}
    first, again, other = (gradients(checkpoint, seed=seed, **options) for seed in (1, 1, 2))
    figures = [[row.cosine_of_mean for row in report.rows] for report in (first, again, other)]
    assert figures[0] == figures[1] != figures[2]


def test_the_command_leaves_a_picture_and_a_table(checkpoint, mnist, tmp_path):
    arguments = ["gradients", "--checkpoint", checkpoint, "--data-dir", mnist, "--output", tmp_path]
    few = ["--samples", 20, "--images", 3, "--csv", tmp_path / "g.csv", "--temperatures", "0.5,1"]
    result = CliRunner().invoke(app, [str(word) for word in [*arguments, *few]])
    assert result.exit_code == 0, result.output
    assert "cosine_of_mean" in result.output
    with Image.open(tmp_path / "gradients.png") as picture:
        assert picture.width > 500
    lines = (tmp_path / "g.csv").read_text().splitlines()
    assert len(lines) == 1 + 2 + 1 + 2 + 2  # straight-through has no temperature


def test_codes_that_cannot_be_enumerated_are_refused(mnist, tmp_path):
    config = Config(epochs=1, hidden=(8,), data_dir=mnist, output=tmp_path / "run")
    run = train(config, quiet=True, importance_samples=1)
    with pytest.raises(InputError, match="--estimators must be different, but got exact, exact"):
        gradients(run.checkpoint, estimators=["exact", "exact"], data_dir=mnist)
    with pytest.raises(InputError, match=r"at most max_states = 65536 .* 2\^20"):
        gradients(run.checkpoint, images=4, data_dir=mnist)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("nothing", "--estimator must be one of arm, .*, but got nothing"),
        ("reinmax:samples=3", "must be among temperature, but got samples=3"),
        ("reinmax:temperature=-1", "temperature must be positive and finite, but got -1.0"),
        ("relax:control-variate=x", "must be among temperature, scale, but got control-variate=x"),
        ("score-function:baseline=mean", "baseline as one of leave_one_out, but got baseline=mean"),
        ("gumbel-rao:samples=many", "must have samples as int, but got samples=many"),
        ("gumbel-rao:samples=0", "--estimator must suit the latent.*samples must be"),
    ],
)
def test_estimators_that_do_not_exist_are_refused(words, message):
    with pytest.raises(InputError, match=message):
        model(latent="gumbel-softmax", estimator=words)


def test_an_estimator_needs_the_discrete_divergence_and_a_discrete_distribution():
    with pytest.raises(InputError, match="--kl must be discrete with an --estimator"):
        model(latent="gumbel-softmax", estimator="reinmax", kl="relaxed")
    assert not model(latent="gumbel-softmax", estimator="reinmax").has_relaxed_model
    for latent in ("logistic-normal-softmax", "gumbel-softmax-top-k"):
        with pytest.raises(InputError, match=r"--(kl|estimator) must"):
            model(latent=latent, estimator="reinmax")


def test_an_estimator_is_found_with_its_options():
    estimator = find_estimator("gumbel-rao:samples=3:temperature=0.5")
    assert isinstance(estimator, functools.partial)
    assert estimator.keywords == {"samples": 3, "temperature": 0.5}


def test_the_code_of_an_image_is_one_event():
    vae = model(latent="gumbel-softmax")
    posterior = vae.latent.posterior(torch.zeros(7, vae.latent.parameter_size))
    codes = as_one_event(Code.of(posterior).distribution, vae.latent.code_prior())
    assert (codes.batch_shape, codes.event_shape) == ((7,), (2, 3))
