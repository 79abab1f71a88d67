"""Makes the shipped subset of MNIST: `python make_subset.py DIR`.

DIR holds MNIST/raw, laid out as by torchvision. Every digit gets the same number of images: 600
for training and 100 for testing. They are chosen with a fixed seed and stay in the order of the
original files. The output is the same on every run, because the gzip files contain neither time
nor name.
"""

import gzip
import sys
from pathlib import Path

import torch
from torch import Tensor
from torchvision.datasets import MNIST

TARGET = Path(__file__).parents[1] / "src" / "relaxit_vae" / "data"
SEED = 0


def stratified(labels: Tensor, per_digit: int) -> Tensor:
    """Returns indices of `per_digit` images of every digit, in ascending order."""
    generator = torch.Generator().manual_seed(SEED)
    order = torch.randperm(len(labels), generator=generator)
    chosen = [order[labels[order] == digit][:per_digit] for digit in range(10)]
    return torch.cat(chosen).sort().values


def write_idx(path: Path, values: Tensor) -> None:
    """Writes unsigned bytes as a gzipped IDX file."""
    magic = bytes([0, 0, 8, values.ndim])
    shape = b"".join(size.to_bytes(4, "big") for size in values.shape)
    content = magic + shape + values.to(torch.uint8).numpy().tobytes()
    path.write_bytes(gzip.compress(content, compresslevel=9, mtime=0))


def main(root: str) -> None:
    """Writes the four files."""
    for name, train, per_digit in [("train", True, 600), ("t10k", False, 100)]:
        full = MNIST(root, train=train)
        index = stratified(full.targets, per_digit)
        write_idx(TARGET / f"{name}-images-idx3-ubyte.gz", full.data[index])
        write_idx(TARGET / f"{name}-labels-idx1-ubyte.gz", full.targets[index])


if __name__ == "__main__":
    main(sys.argv[1])
