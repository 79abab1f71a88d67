from pathlib import Path

import pytest
import torch

from relaxit_vae import VAE, Config, InputError
from relaxit_vae.module import binarized


def model(**options):
    torch.manual_seed(0)
    return VAE(Config(hidden=(16,), **options))


@pytest.fixture
def codes(monkeypatch):
    """What decoders were given."""
    seen, decode = [], VAE.decode
    monkeypatch.setattr(VAE, "decode", lambda self, code: seen.append(code) or decode(self, code))
    return seen


def is_discrete(code):
    return ((code == 0) | (code == 1)).all().item()


@pytest.mark.parametrize("latent", ["binary-concrete", "gumbel-softmax"])
@pytest.mark.parametrize("hard", [False, True])
def test_only_training_decodes_relaxed_codes(few, codes, latent, hard):
    vae, images = model(latent=latent, hard=hard), few[:]
    vae.objective(images)
    vae.bound(images)
    vae.reconstruct(images)
    vae.generate(7)
    assert [is_discrete(code) for code in codes] == [hard, True, True, True]


def test_gradients_reach_every_weight(few):
    vae = model()
    (-vae.objective(few[:]).elbo.mean()).backward()
    for name, weight in vae.named_parameters():
        assert weight.grad.abs().sum() > 0, name


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
