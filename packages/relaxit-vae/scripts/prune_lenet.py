"""Prunes LeNet-300-100, with a learned gate at each input and hidden unit.

    python scripts/prune_lenet.py [--data-dir DATA_DIR] [--epochs 20] [--seeds 3]

The data is the shipped subset of MNIST, or all of it. Each gate is penalised for the weights that
it keeps (Louizos, Welling, Kingma 2018). The penalty is chosen without the test images. A sixth
of the training images is held out. Among the penalties that leave less than a tenth of the
weights, the one with the best accuracy on the held-out images is taken. With this penalty the
network is trained on all training images and tested once.
"""

from argparse import ArgumentParser
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from relaxit_torch.nn import HardConcreteGates
from relaxit_vae.data import Images, load_images

SIZES = (784, 300, 100, 10)
BUDGET = 0.1
"""The largest fraction of the weights that may be left."""
PENALTIES = (0.03, 0.1, 0.3, 1.0)
"""Penalties of an expected weight, before division by the number of training images."""
EPOCHS = 20


class GatedLeNet(nn.Sequential):
    """Layers of 784-300-100-10 units, with gates before each of them."""

    def __init__(self) -> None:
        super().__init__()
        for inputs, outputs in pairwise(SIZES):
            # As in the paper: at first, pixels are dropped with probability 0.2, units with 0.5.
            gates = HardConcreteGates(inputs, initial_probs=0.5 if self else 0.8)
            self.extend([gates, nn.Linear(inputs, outputs), nn.ReLU()])
        self.pop(-1)  # the last layer gives logits
        self.gates = [module for module in self if isinstance(module, HardConcreteGates)]
        self.linear = [module for module in self if isinstance(module, nn.Linear)]

    def expected_weights(self) -> Tensor:
        """Returns the expected number of weights of units whose gates are open."""
        pairs = zip(self.gates, self.linear, strict=True)
        terms = (gates.penalty() * linear.out_features for gates, linear in pairs)
        return sum(terms, torch.zeros(()))


def train(images: Images, seed: int, *, penalty: float, epochs: int = EPOCHS) -> GatedLeNet:
    """Returns a network that minimises the cross-entropy and the penalty for its weights."""
    torch.manual_seed(seed)
    pixels, labels = images[:], images.labels.long()
    network = GatedLeNet()
    optimizer = torch.optim.Adam(
        [
            {"params": [p for linear in network.linear for p in linear.parameters()], "lr": 0.002},
            {"params": [gates.logits for gates in network.gates], "lr": 0.02},
        ]
    )
    for _ in range(epochs):
        for batch in torch.randperm(len(images)).split(100):
            price = penalty * network.expected_weights() / len(images)
            loss = cross_entropy(network(pixels[batch]), labels[batch]) + price
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def pruned(network: GatedLeNet) -> tuple[Tensor, nn.Sequential]:
    """Returns the indices of the pixels that are left, and a plain network of the units left."""
    kept = [gates.prune() for gates in network.gates]
    layers: list[nn.Module] = []
    for i, (gates, linear) in enumerate(zip(network.gates, network.linear, strict=True)):
        rows = kept[i + 1] if i + 1 < len(kept) else torch.arange(SIZES[-1])
        small = nn.Linear(len(kept[i]), len(rows))
        small.weight.data = linear.weight[rows][:, kept[i]] * gates.deterministic_gate[kept[i]]
        small.bias.data = linear.bias[rows]
        layers += [small, nn.ReLU()]
    return kept[0], nn.Sequential(*layers[:-1])


def measure(network: GatedLeNet, images: Images) -> tuple[float, float]:
    """Returns the accuracy of the pruned network, and the fraction of the weights it keeps."""
    kept, small = pruned(network)
    with torch.no_grad():
        right = small(images[:][:, kept]).argmax(-1) == images.labels
    left = sum(layer.weight.numel() for layer in small if isinstance(layer, nn.Linear))
    return right.float().mean().item(), left / sum(a * b for a, b in pairwise(SIZES))


def held_out(images: Images) -> tuple[Images, Images]:
    """Returns five sixths of the images for training, and one sixth for choosing."""
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(0))
    parts = order.split(len(images) * 5 // 6)
    rest, held = (Images(images.pixels[part], images.labels[part]) for part in parts[:2])
    return rest, held


def choose(
    images: Images,
    seeds: Sequence[int],
    *,
    penalties: Sequence[float] = PENALTIES,
    epochs: int = EPOCHS,
) -> float:
    """Returns the best penalty, by means over seeds on images that are held out."""
    rest, held = held_out(images)
    small_enough = {}
    for penalty in penalties:
        found = [measure(train(rest, seed, penalty=penalty, epochs=epochs), held) for seed in seeds]
        right, left = (mean(column) for column in zip(*found, strict=True))
        print(f"penalty {penalty}: held-out accuracy {right:.4f}, weights {left:.2%}", flush=True)
        if left < BUDGET:
            small_enough[penalty] = right
    if not small_enough:
        raise SystemExit(
            f"penalties must be larger: none leaves less than {BUDGET:.0%} of the weights"
        )
    return max(small_enough, key=small_enough.__getitem__)


def main() -> None:
    """Chooses the penalty, trains and tests."""
    parser = ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-dir", type=Path, help="folder of the full MNIST")
    parser.add_argument("--penalties", type=float, nargs="+", default=PENALTIES)
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--seeds", type=int, default=3)
    given = parser.parse_args()
    images, seeds = load_images("train", given.data_dir), range(given.seeds)
    penalty = choose(images, seeds, penalties=given.penalties, epochs=given.epochs)
    test = load_images("test", given.data_dir)
    for seed in seeds:
        network = train(images, seed, penalty=penalty, epochs=given.epochs)
        right, left = measure(network, test)
        units = "-".join(str(len(gates.prune())) for gates in network.gates)
        print(
            f"chosen {penalty}, seed {seed}: test accuracy {right:.4f}, "
            f"weights {left:.2%}, units {units}",
            flush=True,
        )


if __name__ == "__main__":
    main()
