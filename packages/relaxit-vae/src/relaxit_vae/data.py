"""MNIST in one tensor: read once, then every batch is an index selection.

The package ships a stratified subset (600 training and 100 test images of each digit); `data_dir`
names a folder with the full data as torchvision lays it out, downloaded there when it is absent.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.datasets.mnist import (  # type: ignore[import-untyped]
    MNIST,
    read_sn3_pascalvincent_tensor,
)

from relaxit_vae.errors import InputError

Split = Literal["train", "test"]
PIXELS = 28 * 28
PREFIXES: dict[Split, str] = {"train": "train", "test": "t10k"}
FILES = [
    f"{prefix}-{kind}-ubyte"
    for prefix in PREFIXES.values()
    for kind in ("images-idx3", "labels-idx1")
]


@dataclass(frozen=True)
class Images(Dataset[Tensor]):
    """Bytes `pixels`, `(n, 28, 28)`, and `labels`, `(n,)`; indexing gives grey levels in [0, 1]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.pixels)

    def __getitem__(self, index: Tensor | slice) -> Tensor:
        return self.pixels[index].flatten(start_dim=1) / 255  # (batch, 784)

    def of_each_digit(self, count: int) -> Tensor:
        """The first image of every digit, then the second, ...: shape `(10 * count, 784)`."""
        rows = [(self.labels == digit).nonzero().flatten()[:count] for digit in range(10)]
        return self[torch.stack(rows, dim=1).flatten()]


class IndexBatches(Sampler[Tensor]):
    """Batches of indices into `size` images; shuffled if there is a `seed`, anew in every epoch.

    The order is a function of seed and epoch alone. Lightning calls `set_epoch`.
    """

    def __init__(self, size: int, batch_size: int, seed: int | None = None) -> None:
        self.size, self.batch_size, self.seed, self.epoch = size, batch_size, seed, 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the order of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def __iter__(self) -> Iterator[Tensor]:
        if self.seed is None:
            order = torch.arange(self.size)
        else:
            generator = torch.Generator().manual_seed(self.seed * 1_000_003 + self.epoch)
            order = torch.randperm(self.size, generator=generator)
        for start in range(0, self.size, self.batch_size):
            yield order[start : start + self.batch_size]


def batches(images: Images, batch_size: int, *, seed: int | None = None) -> DataLoader[Tensor]:
    """A loader of `(batch, 784)` grey levels; shuffled if there is a `seed`."""
    sampler = IndexBatches(len(images), batch_size, seed)
    return DataLoader(images, sampler=sampler, batch_size=None)


def load_images(split: Split, data_dir: Path | None = None) -> Images:
    """The images and labels of one split of the shipped subset, or of the full data in `data_dir`.

    Raises `InputError` when the data is absent and cannot be downloaded, or is damaged.
    """
    if data_dir is None:
        with as_file(files("relaxit_vae") / "data") as folder:
            return _read_split(Path(folder), split, suffix=".gz")
    folder = data_dir / "MNIST" / "raw"
    if not all((folder / name).exists() for name in FILES):
        _download(data_dir)
    return _read_split(folder, split)


def _download(data_dir: Path) -> None:
    try:
        MNIST(data_dir, download=True)
    except (RuntimeError, OSError) as error:
        raise InputError(
            f"--data-dir must hold MNIST/raw/{FILES[0]} and the other files of MNIST, "
            f"but {data_dir} does not, and downloading them there failed"
        ) from error


def _read_split(folder: Path, split: Split, suffix: str = "") -> Images:
    image_file, label_file = (
        folder / (name + suffix) for name in FILES if name.startswith(PREFIXES[split])
    )
    images = read_idx(image_file, dimensions=3)
    labels = read_idx(label_file, dimensions=1)
    if images.shape[1:] != (28, 28):
        raise InputError(f"{image_file}: images must be 28 x 28, but got {tuple(images.shape[1:])}")
    if len(images) != len(labels):
        raise InputError(
            f"{label_file}: must hold {len(images)} labels, one per image, but got {len(labels)}"
        )
    return Images(images, labels)


def read_idx(path: Path, *, dimensions: int) -> Tensor:
    """The unsigned bytes in an IDX file, which is gzipped if its name ends in `.gz`.

    torchvision reads it, after a check: raises `InputError` that names what is damaged.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    _check_idx(path, content, dimensions)
    with TemporaryDirectory() as scratch:
        plain = Path(scratch) / "idx"
        plain.write_bytes(content)
        values: Tensor = read_sn3_pascalvincent_tensor(str(plain))
        return values


def _check_idx(path: Path, content: bytes, dimensions: int) -> None:
    header, *shape = struct.unpack_from(
        f">{1 + dimensions}I", content.ljust(4 * (1 + dimensions), b"\0")
    )
    magic = 0x0800 + dimensions  # unsigned bytes, so many dimensions
    if header != magic:
        raise InputError(f"{path}: magic number must be {magic}, but got {header}")
    expected, given = 4 * (1 + dimensions) + math.prod(shape), len(content)
    if given != expected:
        raise InputError(
            f"{path}: must have {expected} bytes for shape {tuple(shape)}, but got {given}"
        )
