"""Fixtures: a folder of MNIST with a few real digits, and options for runs of a second."""

from pathlib import Path

import pytest
import torch
from torch import Tensor

from relaxit_vae import VAE, Config
from relaxit_vae.data import Images, Split, load_images

torch.set_num_threads(1)  # the models are tiny: more threads only wait for each other


def write_idx(path: Path, values) -> None:
    header = bytes([0, 0, 8, values.ndim])
    sizes = b"".join(size.to_bytes(4, "big") for size in values.shape)
    path.write_bytes(header + sizes + values.numpy().tobytes())


@pytest.fixture(scope="session")
def mnist(tmp_path_factory) -> Path:
    """A `data_dir` with 100 training and 50 test images."""
    root = tmp_path_factory.mktemp("data")
    raw = root / "MNIST" / "raw"
    raw.mkdir(parents=True)
    parts: list[tuple[Split, str, int]] = [("train", "train", 100), ("test", "t10k", 50)]
    for split, prefix, count in parts:
        images = load_images(split)
        write_idx(raw / f"{prefix}-images-idx3-ubyte", images.pixels[:count])
        write_idx(raw / f"{prefix}-labels-idx1-ubyte", images.labels[:count])
    return root


@pytest.fixture
def few(mnist) -> Images:
    return load_images("train", mnist)


@pytest.fixture
def codes(monkeypatch) -> list[Tensor]:
    """The codes that decoders were given."""
    seen, decode = [], VAE.decode

    def recorded(model: VAE, code: Tensor) -> Tensor:
        seen.append(code)
        return decode(model, code)

    monkeypatch.setattr(VAE, "decode", recorded)
    return seen


@pytest.fixture
def config(mnist, tmp_path):
    """Makes options of a tiny run; `config(epochs=2)` changes one."""

    def make(**options) -> Config:
        defaults = {"epochs": 1, "hidden": (16,), "data_dir": mnist, "output": tmp_path / "run"}
        return Config(**defaults | options)

    return make
