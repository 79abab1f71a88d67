"""Times an epoch of MNIST here and with a loader that prepares image by image.

    python scripts/measure_epoch.py DATA_DIR ../../docs/results/vae-epoch.json

The other way is that of the usual example scripts: a data set that opens an image and transforms it
when it is asked for one, a `DataLoader` that collates them, a Gaussian autoencoder and Adam. Both
have layers 784-400-20-400-784 and batches of 128, and run in turns in one process.
"""

import json
import sys
import time
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits
from torch.utils.data import DataLoader
from torchvision.datasets import MNIST  # type: ignore[import-untyped]
from torchvision.transforms import ToTensor  # type: ignore[import-untyped]

from relaxit_vae import Config, train
from relaxit_vae.provenance import provenance

TURNS = 3


class Gaussian(nn.Module):
    """The autoencoder of the example scripts."""

    def __init__(self) -> None:
        super().__init__()
        self.encoder = nn.Sequential(nn.Linear(784, 400), nn.ReLU(), nn.Linear(400, 40))
        self.decoder = nn.Sequential(nn.Linear(20, 400), nn.ReLU(), nn.Linear(400, 784))

    def loss(self, images: Tensor) -> Tensor:
        """Minus the evidence lower bound, of a batch."""
        mean, log_variance = self.encoder(images).chunk(2, dim=-1)
        latent = mean + (log_variance / 2).exp() * torch.randn_like(mean)
        kl = (mean.square() + log_variance.exp() - log_variance - 1).sum() / 2
        pixels = self.decoder(latent)
        return binary_cross_entropy_with_logits(pixels, images, reduction="sum") + kl


def by_image(data_dir: Path) -> float:
    """Seconds of an epoch with images prepared one by one."""
    loader = DataLoader(MNIST(data_dir, transform=ToTensor()), batch_size=128, shuffle=True)
    model = Gaussian()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    start = time.perf_counter()
    for images, _ in loader:
        optimizer.zero_grad()
        model.loss(images.flatten(1)).backward()
        optimizer.step()
    return time.perf_counter() - start


def ours(data_dir: Path) -> float:
    """Seconds of an epoch of `relaxit-vae train`."""
    with TemporaryDirectory() as scratch:
        folder = Path(scratch, "run")
        config = Config(epochs=1, hidden=(400,), batch_size=128, data_dir=data_dir, output=folder)
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
