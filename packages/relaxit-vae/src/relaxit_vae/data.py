"""MNIST in one tensor: it is read once, and every batch is a selection by index.

The package ships a stratified subset with 600 training and 100 test images of each digit. The full
data lies in `data_dir`, laid out as by torchvision. It is downloaded if it is absent.
"""

import gzip
import math
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.resources import as_file, files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from lightning.pytorch import LightningDataModule
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler
from torchvision.datasets import MNIST

from relaxit_vae.errors import InputError
from relaxit_vae.seeds import seed_for

Split = Literal["train", "test"]
PIXELS = 28 * 28
BLOCK = 100
"""Number of images that share a stream of noise in an evaluation."""
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

    def to(self, device: torch.device) -> "Images":
        """Returns the images on a device, without a copy if they are there already."""
        if self.pixels.device == device:
            return self
        return Images(self.pixels.to(device), self.labels.to(device))

    def of_each_digit(self, count: int) -> Tensor:
        """Returns the first image of every digit, then the second, ...: `(10 * count, 784)`."""
        rows = [(self.labels == digit).nonzero().flatten()[:count] for digit in range(10)]
        return self[torch.stack(rows, dim=1).flatten()]


class Batch(NamedTuple):
    """The share of one process in a training batch."""

    images: Tensor
    """Grey levels `(share, 784)`."""
    total: int
    """The number of images in all shares."""


class Piece(NamedTuple):
    """The share of one process in an evaluation batch, with whole blocks around it."""

    images: Tensor
    """Grey levels of whole blocks, `(images, 784)`."""
    first_block: int
    """The number of the first of these blocks."""
    start: int
    """Index of the first image to evaluate."""
    stop: int
    """Index after the last image to evaluate."""


class IndexBatches(Sampler[tuple[Tensor, int]]):
    """Yields the indices of one process's share of each batch, and the size of the whole batch.

    With a `seed` the images are shuffled in every epoch. The order depends on the seed and the
    epoch alone. Lightning calls `set_epoch`.
    """

    def __init__(
        self,
        size: int,
        batch_size: int,
        seed: int | None = None,
        *,
        process: int = 0,
        processes: int = 1,
    ) -> None:
        self.size, self.batch_size, self.seed, self.epoch = size, batch_size, seed, 0
        self.process, self.processes = process, processes

    def set_epoch(self, epoch: int) -> None:
        """Chooses the order of this epoch."""
        self.epoch = epoch

    def __len__(self) -> int:
        return math.ceil(self.size / self.batch_size)

    def __iter__(self) -> Iterator[tuple[Tensor, int]]:
        if self.seed is None:
            order = torch.arange(self.size)
        else:
            generator = torch.Generator().manual_seed(seed_for("order", self.seed, self.epoch))
            order = torch.randperm(self.size, generator=generator)
        for batch in order.split(self.batch_size):
            yield batch.tensor_split(self.processes)[self.process], len(batch)


class Digits(LightningDataModule):
    """Training and test images, each in one tensor on the device.

    Loaders yield indices, and images are selected on the device. Worker processes would have
    nothing to do. `batch_size` counts the images of all processes together.
    """

    def __init__(
        self, training: Images | None, test: Images, *, batch_size: int, seed: int = 0
    ) -> None:
        super().__init__()
        self.training, self.test, self.batch_size, self.seed = training, test, batch_size, seed

    def train_dataloader(self) -> DataLoader[Any]:
        assert self.training is not None
        return self._indices(self.training, self.batch_size, self.seed)

    def val_dataloader(self) -> DataLoader[Any]:
        return self._indices(self.test, BLOCK)

    def test_dataloader(self) -> DataLoader[Any]:
        return self._indices(self.test, self.batch_size)

    def _indices(self, images: Images, batch_size: int, seed: int | None = None) -> DataLoader[Any]:
        trainer = self.trainer
        sampler = IndexBatches(
            len(images),
            batch_size,
            seed,
            process=trainer.global_rank if trainer else 0,
            processes=trainer.world_size if trainer else 1,
        )
        return DataLoader(_Itself(), sampler=sampler, batch_size=None)

    def transfer_batch_to_device(
        self, batch: tuple[Tensor, int], device: torch.device, dataloader_idx: int
    ) -> Batch | Piece:
        index, total = batch
        if self.trainer is not None and self.trainer.training:
            assert self.training is not None
            self.training = self.training.to(device)
            return Batch(self.training[index.to(device)], total)
        self.test = self.test.to(device)
        start, stop = (int(index[0]), int(index[-1]) + 1) if len(index) else (0, 0)
        first = start // BLOCK
        begin, end = first * BLOCK, math.ceil(stop / BLOCK) * BLOCK
        return Piece(self.test[begin:end], first, start - begin, stop - begin)


class _Itself(Dataset[Any]):
    """Its items are the indices that the sampler yields."""

    def __getitem__(self, index: Any) -> Any:
        return index


def load_images(split: Split, data_dir: Path | None = None) -> Images:
    """Returns one split of the shipped subset, or of the full data in `data_dir`.

    Raises:
        InputError: the data is damaged, or absent and cannot be downloaded.
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
    """Returns the unsigned bytes in an IDX file. Its name ends in `.gz` if it is gzipped.

    Raises:
        InputError: the file cannot be read or is damaged. The message names it.
    """
    try:
        content = path.read_bytes()
        if path.suffix == ".gz":
            content = gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: cannot be read: {error}") from error
    start = 4 * (1 + dimensions)
    header, *shape = struct.unpack_from(f">{1 + dimensions}I", content.ljust(start, b"\0"))
    magic = 0x0800 + dimensions  # unsigned bytes, and the number of dimensions
    if header != magic:
        raise InputError(f"{path}: magic number must be {magic}, but got {header}")
    expected = start + math.prod(shape)
    if len(content) != expected:
        raise InputError(
            f"{path}: must have {expected} bytes for shape {tuple(shape)}, but got {len(content)}"
        )
    return torch.frombuffer(bytearray(content), dtype=torch.uint8)[start:].reshape(shape)
