"""Times an epoch of `relaxit-vae`, and of a script that prepares images one by one.

    python scripts/measure_epoch.py DATA_DIR ../../docs/results/vae-epoch.json

The script is written as the usual examples are: a data set opens and transforms each image, a
`DataLoader` collates the images, distributions validate their arguments, and Adam optimises. Both
models have 20 straight-through bits, layers 784-400-20-400-784 and batches of 128. They run in
turns in one process. Two more figures show where the seconds go. One is the time of as many
optimiser steps on a batch that is in memory, which no loader can undercut. The other is the time
of the batches alone, for both.
"""

import json
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, kl_divergence
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST
from torchvision.transforms import ToTensor

from relaxit_vae import Config, train
from relaxit_vae.data import PIXELS, Digits, load_images
from relaxit_vae.provenance import provenance

TURNS = 5
BATCH = 128


class ByImage(nn.Module):
    """The autoencoder of the example scripts: straight-through bits, pixel means."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 20))
        self.decoder = nn.Sequential(
            nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid()
        )

    def loss(self, images: Tensor) -> Tensor:
        """Returns minus the evidence lower bound of a batch."""
        bits = Bernoulli(logits=self.encoder(images))
        code = bits.sample() + bits.probs - bits.probs.detach()
        divergence = kl_divergence(bits, Bernoulli(torch.full_like(bits.probs, 0.5)))
        mismatch = binary_cross_entropy(self.decoder(code), images, reduction="sum")
        return mismatch + divergence.sum()


def steps(batches: Iterable[Tensor]) -> float:
    """Returns the seconds for a step on each batch, including the time to make the batches."""
    model = ByImage()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start, total = time.perf_counter(), 0.0
    for images in batches:
        optimizer.zero_grad()
        loss = model.loss(images)
        loss.backward()
        total += loss.item()
        optimizer.step()
    assert math.isfinite(total)
    return time.perf_counter() - start


def by_image(data_dir: Path) -> Iterator[Tensor]:
    """Yields the batches of an epoch whose images are prepared one by one."""
    data = MNIST(data_dir, transform=ToTensor())
    for images, _ in DataLoader(data, batch_size=BATCH, shuffle=True):
        yield images.flatten(1)


def by_index(data_dir: Path) -> Iterator[Tensor]:
    """Yields the batches of an epoch of `relaxit-vae`, where images lie in one tensor."""
    digits = Digits(load_images("train", data_dir), load_images("test", data_dir), batch_size=BATCH)
    assert digits.training
    for index, _ in digits.train_dataloader():
        yield digits.training[index]


def seconds_of(batches: Iterable[Tensor]) -> float:
    """Returns the seconds to make all batches but the first, without using them."""
    iterator = iter(batches)
    next(iterator)
    start = time.perf_counter()
    for images in iterator:
        assert images.shape[1:] == (PIXELS,)
    return time.perf_counter() - start


def ours(data_dir: Path) -> float:
    """Returns the seconds of an epoch of `relaxit-vae train`."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        config = Config(
            latent="straight-through-bernoulli",
            epochs=1,
            hidden=(400,),
            batch_size=BATCH,
            data_dir=data_dir,
            output=folder,
        )
        return train(config, quiet=True, importance_samples=1).seconds_per_epoch


def main(data_dir: Path, output: Path) -> None:
    """Measures everything in turns and writes the results."""
    there = load_images("train", data_dir)[:BATCH]
    count = math.ceil(60_000 / BATCH)
    measured: dict[str, Callable[[], float]] = {
        "relaxit-vae": lambda: ours(data_dir),
        "image by image": lambda: steps(by_image(data_dir)),
        "steps alone": lambda: steps([there] * count),
        "batches alone, relaxit-vae": lambda: seconds_of(by_index(data_dir)),
        "batches alone, image by image": lambda: seconds_of(by_image(data_dir)),
    }
    turns = [{name: measure() for name, measure in measured.items()} for _ in range(TURNS)]
    seconds = {name: [turn[name] for turn in turns] for name in measured}
    middle = {name: median(values) for name, values in seconds.items()}
    ratios = {
        "epoch": middle["relaxit-vae"] / middle["image by image"],
        "batches alone": middle["batches alone, relaxit-vae"]
        / middle["batches alone, image by image"],
    }
    results = {"about": provenance(), "seconds": seconds, "ratios": ratios}
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
