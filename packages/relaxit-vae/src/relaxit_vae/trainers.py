"""Makes the trainers of Lightning for a run."""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from lightning.fabric.utilities.exceptions import MisconfigurationException
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import ModelCheckpoint, RichProgressBar
from lightning.pytorch.loggers import TensorBoardLogger

from relaxit_vae.checkpoints import AtomicCheckpointIO
from relaxit_vae.config import Config
from relaxit_vae.errors import InputError
from relaxit_vae.history import History


def new_training(config: Config, history: History, quiet: bool) -> Trainer:
    """Returns a trainer for `config` that writes logs and checkpoints to its folder."""
    checkpoints = ModelCheckpoint(
        dirpath=config.folder / "checkpoints",
        filename="last",
        enable_version_counter=False,
        save_on_train_epoch_end=True,
    )
    return new_trainer(
        devices=config.devices,
        strategy=config.strategy,
        accelerator=config.accelerator,
        quiet=quiet,
        callbacks=[history, checkpoints],
        max_epochs=config.epochs,
        precision=config.precision,
        plugins=[AtomicCheckpointIO()],
        logger=TensorBoardLogger(
            config.folder, name="tensorboard", version="", default_hp_metric=False
        ),
        log_every_n_steps=1,
        num_sanity_val_steps=0,
    )


def new_trainer(
    *,
    devices: int,
    strategy: str,
    accelerator: str,
    quiet: bool,
    callbacks: Sequence[Callback] = (),
    **options: Any,
) -> Trainer:
    """Returns a trainer with what training and evaluation share.

    Raises:
        InputError: Lightning refuses an option.
    """
    progress = [] if quiet else [RichProgressBar()]
    try:
        return Trainer(
            devices=devices,
            strategy=strategy,
            accelerator=accelerator,
            callbacks=[*callbacks, *progress],
            enable_progress_bar=not quiet,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **options,
        )
    except (ValueError, MisconfigurationException) as error:
        reason = " ".join(str(error).split())
        raise InputError(
            "--devices, --strategy and --accelerator must be what Lightning can do here, "
            f"but got {devices}, {strategy} and {accelerator}: {reason}"
        ) from error


@contextmanager
def hushed() -> Iterator[None]:
    """Silences Lightning's greetings, and warnings that do not concern the user.

    - `many workers`: batches are selections by index and need no workers.
    - `LeafSpec`: Lightning calls torch in a deprecated way.
    - `sync_dist`: figures are summed over processes before they are logged.
    - The last two: a resumed run has checkpoints, perhaps in a folder that was moved.
    """
    loggers = [logging.getLogger(f"lightning.{part}") for part in ("pytorch", "fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            for text in (
                "many workers",
                "LeafSpec",
                "sync_dist",
                "exists and is not empty",
                "dirpath has changed",
            ):
                warnings.filterwarnings("ignore", f".*{text}")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
