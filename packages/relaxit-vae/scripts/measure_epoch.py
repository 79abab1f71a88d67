"""Times an epoch of MNIST here and with a loader that prepares image by image.

    python scripts/measure_epoch.py DATA_DIR ../../docs/results/vae-epoch.json

The other way is that of the usual example scripts: a data set that opens an image and transforms it
when it is asked for one, a `DataLoader` that collates them, distributions that validate their
arguments, and Adam. Both have 20 straight-through bits, layers 784-400-20-400-784 and batches of
128, and run in turns in one process.
"""

import json
import math
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.distributions import Bernoulli, kl_divergence
from torch.nn.functional import binary_cross_entropy
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST  # type: ignore[import-untyped]
from torchvision.transforms import ToTensor  # type: ignore[import-untyped]

from relaxit_vae import Config, train
from relaxit_vae.provenance import provenance

TURNS = 3


class ByImage(nn.Module):
    """The autoencoder of the example scripts: straight-through bits, pixel means."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 20))
        self.decoder = nn.Sequential(
            nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784), nn.Sigmoid()
        )

    def loss(self, images: Tensor) -> Tensor:
        """Minus the evidence lower bound, of a batch."""
        bits = Bernoulli(logits=self.encoder(images))
        code = bits.sample() + bits.probs - bits.probs.detach()
        divergence = kl_divergence(bits, Bernoulli(torch.full_like(bits.probs, 0.5)))
        mismatch = binary_cross_entropy(self.decoder(code), images, reduction="sum")
        return mismatch + divergence.sum()


def by_image(data_dir: Path) -> float:
    """Seconds of an epoch with images prepared one by one."""
    loader = DataLoader(MNIST(data_dir, transform=ToTensor()), batch_size=128, shuffle=True)
    model = ByImage()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start, total = time.perf_counter(), 0.0
    for images, _ in loader:
        optimizer.zero_grad()
        loss = model.loss(images.flatten(1))
        loss.backward()
        total += loss.item()
        optimizer.step()
    assert math.isfinite(total)
    return time.perf_counter() - start


def ours(data_dir: Path) -> float:
    """Seconds of an epoch of `relaxit-vae train`."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        config = Config(
            latent="straight-through-bernoulli",
            epochs=1,
            hidden=(400,),
            batch_size=128,
            data_dir=data_dir,
            output=folder,
        )
        return train(config, quiet=True, importance_samples=1).seconds_per_epoch


def main(data_dir: Path, output: Path) -> None:
    """Both, in turns."""
    seconds: dict[str, list[float]] = {"relaxit-vae": [], "image by image": []}
    for _ in range(TURNS):
        seconds["relaxit-vae"].append(ours(data_dir))
        seconds["image by image"].append(by_image(data_dir))
    ratio = median(seconds["relaxit-vae"]) / median(seconds["image by image"])
    results = {"about": provenance(), "seconds": seconds, "ratio": ratio}
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(json.dumps(results, indent=1))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
