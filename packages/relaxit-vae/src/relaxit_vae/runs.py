"""What the commands do, as functions."""

import logging
import shutil
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning.pytorch import Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import CSVLogger, TensorBoardLogger
from torch import Tensor

from relaxit_vae.config import Config
from relaxit_vae.data import Images, batches, load_images
from relaxit_vae.errors import InputError
from relaxit_vae.figures import save_grid, save_loss, save_pairs
from relaxit_vae.module import VAE, binarized
from relaxit_vae.objective import Terms

CHECKPOINT = Path("checkpoints", "last.ckpt")
METRICS = Path("csv", "metrics.csv")
BLOCK = 100
"""Images per step of evaluation."""


@dataclass(frozen=True)
class Evaluation:
    """Means over the test images, in nats per image.

    `elbo = reconstruction - kl` is the one-sample lower bound of the discrete model.
    """

    elbo: float
    kl: float
    reconstruction: float
    images: int


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    checkpoint: Path
    evaluation: Evaluation
    seconds: float


def train(config: Config, *, overwrite: bool = False, quiet: bool = False) -> Run:
    """Train as `config` says; leave options, logs, checkpoint and figures in `config.folder`.

    Raises `InputError` when the options or the data are unusable, or when the folder is not empty.
    With `overwrite` an earlier run there is removed; any other folder is refused still.
    """
    start = time.perf_counter()
    training, test = load_images("train", config.data_dir), load_images("test", config.data_dir)
    with _seeded(config.seed), _hushed():
        model = VAE(config)
        folder = _new_folder(config.folder, overwrite)
        config.save(folder / "config.json")
        _trainer(config, folder, quiet).fit(
            model,
            batches(training, config.batch_size, seed=config.seed),
            batches(test, BLOCK),
        )
    model = model.cpu().eval()
    _draw(model, test, folder)
    evaluation = _evaluate(model, test, config.seed)
    return Run(folder, folder / CHECKPOINT, evaluation, time.perf_counter() - start)


def sample(checkpoint: Path, *, count: int = 100, seed: int = 0) -> Tensor:
    """New digits: pixel means `(count, 784)` of codes drawn from the prior."""
    return _generate(VAE.load(checkpoint), count, seed)


def reconstruct(
    checkpoint: Path, *, data_dir: Path | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """The first two test images of each digit and their reconstructions, both `(20, 784)`."""
    return _reconstruct(VAE.load(checkpoint), load_images("test", data_dir), seed)


def evaluate(checkpoint: Path, *, data_dir: Path | None = None, seed: int = 0) -> Evaluation:
    """The one-sample bound of the discrete model on the test images.

    They are those of the shipped subset, or of the full data in `data_dir`.
    """
    return _evaluate(VAE.load(checkpoint), load_images("test", data_dir), seed)


@torch.inference_mode()
def _generate(model: VAE, count: int, seed: int) -> Tensor:
    with _seeded(seed):
        return model.generate(count)


@torch.inference_mode()
def _reconstruct(model: VAE, test: Images, seed: int) -> tuple[Tensor, Tensor]:
    originals = test.of_each_digit(2)
    with _seeded(seed):
        return originals, model.reconstruct(binarized(originals, model.config.binarize))


@torch.inference_mode()
def _evaluate(model: VAE, test: Images, seed: int) -> Evaluation:
    with _seeded(seed):
        blocks = [
            model.bound(binarized(block, model.config.binarize)) for block in batches(test, BLOCK)
        ]
    means = {
        name: torch.cat(parts).double().mean().item()
        for name, *parts in zip(Terms._fields, *blocks, strict=True)
    }
    return Evaluation(**means, images=len(test))


def _draw(model: VAE, test: Images, folder: Path) -> None:
    seed = model.config.seed
    save_pairs(folder / "reconstruction.png", *_reconstruct(model, test, seed))
    save_grid(folder / "samples.png", _generate(model, 100, seed))
    save_loss(folder / "loss.png", folder / METRICS)


def _trainer(config: Config, folder: Path, quiet: bool) -> Trainer:
    checkpoints = ModelCheckpoint(
        dirpath=folder / "checkpoints", filename="last", enable_version_counter=False
    )
    return Trainer(
        max_epochs=config.epochs,
        devices=1,
        logger=[
            CSVLogger(folder, name="csv", version=""),
            TensorBoardLogger(folder, name="tensorboard", version="", default_hp_metric=False),
        ],
        callbacks=[checkpoints] if quiet else [checkpoints, RichProgressBar()],
        enable_progress_bar=not quiet,
        enable_model_summary=False,
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )


def _new_folder(folder: Path, overwrite: bool) -> Path:
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(
                f"--output must be a new folder unless --overwrite, but {folder} exists"
            )
        if not (folder / "config.json").exists():
            raise InputError(
                f"--overwrite must name an earlier run, but {folder} is something else"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    """Draw from this seed inside, and leave the caller's random state as it was."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        yield


@contextmanager
def _hushed() -> Iterator[None]:
    """Without Lightning's greetings, nor warnings that do not concern the user.

    Batches are index selections and need no workers; `LeafSpec` is how Lightning calls torch.
    """
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for text in ("does not have many workers", "LeafSpec"):
                warnings.filterwarnings("ignore", f".*{text}")
            yield
    finally:
        logger.setLevel(level)
