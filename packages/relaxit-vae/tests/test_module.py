from pathlib import Path

import pytest
import torch

from relaxit_vae import VAE, Config, InputError
from relaxit_vae.evaluation import binarized, evaluate_block
from relaxit_vae.latents import LATENTS


def model(**options):
    torch.manual_seed(0)
    return VAE(Config(hidden=(16,), **options))


def is_discrete(code):
    return ((code == 0) | (code == 1)).all().item()


@pytest.mark.parametrize("latent", ["binary-concrete", "exp-gumbel-softmax", "gumbel-softmax"])
@pytest.mark.parametrize("kl", ["discrete", "relaxed", "closed-form"])
def test_only_training_decodes_relaxed_codes(few, codes, latent, kl):
    vae, images = model(latent=latent, kl=kl), few[:]
    vae.objective(images)
    vae.reconstruct(images)
    vae.generate(7)
    evaluate_block(vae, images, slice(None), 0)
    assert [is_discrete(code) for code in codes] == [False, True, True, True]
    assert all(((code >= 0) & (code <= 1)).all() for code in codes)


@pytest.mark.parametrize("latent", ["binary-concrete", "gumbel-softmax"])
def test_hard_training_decodes_discrete_codes(few, codes, latent):
    model(latent=latent, hard=True).objective(few[:])
    assert is_discrete(codes[0])


@pytest.mark.parametrize("prior", ["uniform", "learned"])
@pytest.mark.parametrize("latent", LATENTS)
def test_gradients_reach_every_weight(few, latent, prior):
    vae = model(latent=latent, prior=prior, categories=4)
    (-vae.objective(few[:]).elbo.mean()).backward()
    for name, weight in vae.named_parameters():
        if weight.requires_grad:
            assert weight.grad.abs().sum() > 0, name
            assert weight.grad.isfinite().all(), name


def test_every_latent_decodes_its_codes(few):
    for latent in LATENTS:
        vae = model(latent=latent, categories=4)
        assert vae.generate(3).shape == vae.reconstruct(few[:3]).shape == (3, 784)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        ({"latent": "stochastic-times-smooth", "kl": "relaxed"}, "infinite for any prior"),
        ({"latent": "hard-concrete", "kl": "closed-form"}, "no divergence in closed form"),
        ({"latent": "stochastic-times-smooth", "final_temperature": 0.1}, "has none"),
    ],
)
def test_what_the_latent_lacks_is_refused(options, complaint):
    with pytest.raises(InputError, match=complaint):
        model(**options)


@pytest.mark.parametrize(
    ("annealing", "middle"), [("linear", 0.55), ("exponential", 0.31622776601683794)]
)
def test_the_temperature_goes_from_the_first_to_the_last(annealing, middle):
    vae = model(temperature=1.0, final_temperature=0.1, annealing=annealing)
    assert vae.temperature_at(0) == 1.0
    assert vae.temperature_at(0.5) == pytest.approx(middle)
    assert vae.temperature_at(1) == pytest.approx(0.1)
    with pytest.raises(InputError):
        model().temperature_at(0.5)


def test_pictures_are_pixel_means(few):
    vae = model()
    for pictures, count in [(vae.reconstruct(few[:]), 100), (vae.generate(7), 7)]:
        assert pictures.shape == (count, 784)
        assert ((pictures > 0) & (pictures < 1)).all()


def test_binarisation():
    grey = torch.tensor([[0.0, 0.2, 0.5, 0.8, 1.0]]).repeat(10_000, 1)
    assert binarized(grey, "none") is grey
    assert binarized(grey, "threshold")[0].tolist() == [0, 0, 0, 1, 1]
    drawn = binarized(grey, "dynamic")
    assert is_discrete(drawn)
    assert torch.allclose(drawn.mean(0), grey[0], atol=0.03)


@pytest.mark.parametrize(
    "content", [b"", b"no checkpoint", None], ids=["empty", "text", "another dictionary"]
)
def test_what_is_not_a_checkpoint_is_named(tmp_path, content):
    path = tmp_path / "model.ckpt"
    torch.save({"a": 1}, path) if content is None else path.write_bytes(content)
    with pytest.raises(InputError, match=r"model\.ckpt is something else or damaged"):
        VAE.load(path)


class Malice:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return (Path.touch, (self.path,))


def test_a_checkpoint_cannot_run_code(tmp_path):
    torch.save({"state_dict": Malice(tmp_path / "touched")}, tmp_path / "model.ckpt")
    with pytest.raises(InputError, match="something else or damaged"):
        VAE.load(tmp_path / "model.ckpt")
    assert not (tmp_path / "touched").exists()


def test_an_absent_checkpoint_is_named(tmp_path):
    with pytest.raises(InputError, match=r"absent\.ckpt does not exist"):
        VAE.load(tmp_path / "absent.ckpt")


def test_a_decoder_begins_with_the_mean_of_the_images(few):
    vae, images = model(latent="binary-concrete"), few[:]
    vae.match_mean(images)
    with torch.no_grad():
        vae.decoder[-1].weight.zero_()
    expected = (images.sum(0) + 0.5) / (len(images) + 1)  # pixels that are always 0 stay finite
    assert torch.allclose(vae.reconstruct(images)[0], expected, atol=1e-6)


@pytest.mark.parametrize(
    ("options", "begins"),
    [
        ({"latent": "binary-concrete"}, False),
        ({"latent": "binary-concrete", "hard": True}, True),
        ({"latent": "gumbel-softmax", "estimator": "reinmax"}, True),
        ({"latent": "gumbel-softmax-top-k", "hard": True}, False),
        ({"latent": "gumbel-softmax", "kl": "discrete"}, True),
        ({"latent": "stochastic-times-smooth"}, True),
    ],
)
def test_where_decoders_begin_at_the_mean(options, begins):
    assert model(**options).begins_at_mean == begins
