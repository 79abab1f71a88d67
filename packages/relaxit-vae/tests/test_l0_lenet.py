"""LeNet-300-100 with a gate at every input and hidden unit, which learns how small it can be.

Louizos, Welling, Kingma (2018), section 4.1: each gate is penalised by the weights that it keeps.
"""

from itertools import pairwise

import pytest
import torch
from torch import nn
from torch.nn.functional import cross_entropy

from relaxit_torch.nn import HardConcreteGates
from relaxit_vae.data import Images, load_images

SIZES = (784, 300, 100, 10)
EPOCHS, PENALTY = 20, 0.1


class GatedLeNet(nn.Sequential):
    def __init__(self):
        super().__init__()
        for inputs, outputs in pairwise(SIZES):
            # As in the paper: pixels are dropped with probability 0.2 at first, units with 0.5.
            gates = HardConcreteGates(inputs, initial_probs=0.5 if self else 0.8)
            self.extend([gates, nn.Linear(inputs, outputs), nn.ReLU()])
        self.pop(-1)  # the last layer gives logits
        self.gates = [module for module in self if isinstance(module, HardConcreteGates)]
        self.linear = [module for module in self if isinstance(module, nn.Linear)]

    def expected_weights(self):
        pairs = zip(self.gates, self.linear, strict=True)
        return sum(gates.penalty() * linear.out_features for gates, linear in pairs)


def train(images: Images, seed: int) -> GatedLeNet:
    torch.manual_seed(seed)
    pixels, labels = images[:], images.labels.long()
    network = GatedLeNet()
    optimizer = torch.optim.Adam(
        [
            {"params": [p for linear in network.linear for p in linear.parameters()], "lr": 0.002},
            {"params": [gates.logits for gates in network.gates], "lr": 0.02},
        ]
    )
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(images)).split(100):
            penalty = PENALTY * network.expected_weights() / len(images)
            loss = cross_entropy(network(pixels[batch]), labels[batch]) + penalty
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
    return network.eval()


def pruned(network: GatedLeNet) -> tuple[torch.Tensor, nn.Sequential]:
    """The pixels that are left, and the plain network of the units that are left."""
    kept = [gates.prune() for gates in network.gates]
    layers: list[nn.Module] = []
    for i, (gates, linear) in enumerate(zip(network.gates, network.linear, strict=True)):
        rows = kept[i + 1] if i + 1 < len(kept) else torch.arange(SIZES[-1])
        small = nn.Linear(len(kept[i]), len(rows))
        small.weight.data = linear.weight[rows][:, kept[i]] * gates.deterministic_gate[kept[i]]
        small.bias.data = linear.bias[rows]
        layers += [small, nn.ReLU()]
    return kept[0], nn.Sequential(*layers[:-1])


@pytest.mark.parametrize("seed", range(2))
def test_lenet_keeps_a_small_part_of_its_weights_and_returns_the_same_without_the_others(seed):
    network = train(load_images("train"), seed)
    test = load_images("test")
    kept, small = pruned(network)
    with torch.no_grad():
        expected, found = network(test[:]), small(test[:][:, kept])
    # Sums of up to 784 products in another order, in float32.
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-4)
    right = (found.argmax(-1) == test.labels).float().mean()
    weights = sum(layer.weight.numel() for layer in small if isinstance(layer, nn.Linear))
    assert weights < 0.1 * sum(a * b for a, b in pairwise(SIZES))
    assert right > 0.91  # 0.94 to 0.95 with all weights and no gates
    corner = torch.tensor([0, 27, 756, 783])  # never inked in any image
    assert not torch.isin(corner, kept).any()
