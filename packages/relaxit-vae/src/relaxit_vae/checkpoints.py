"""Checkpoints that are written as a whole and cannot run code when they are read."""

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.plugins.io import CheckpointIO

from relaxit_vae.errors import InputError
from relaxit_vae.files import write_bytes


class AtomicCheckpointIO(CheckpointIO):
    """Writes beside the target, then renames. Lightning writes to another file system first."""

    def save_checkpoint(
        self, checkpoint: dict[str, Any], path: str | os.PathLike[str], storage_options: Any = None
    ) -> None:
        content = io.BytesIO()  # the models are small; torch reports a full disk in its own words
        torch.save(checkpoint, content)
        write_bytes(Path(path), content.getvalue())

    def load_checkpoint(
        self,
        path: str | os.PathLike[str],
        map_location: Callable[..., Any] | None = None,
        weights_only: bool | None = None,
    ) -> dict[str, Any]:
        return load_checkpoint(Path(path))

    def remove_checkpoint(self, path: str | os.PathLike[str]) -> None:
        Path(path).unlink(missing_ok=True)


def load_checkpoint(path: Path) -> dict[str, Any]:
    """Returns the tensors and numbers in a checkpoint, on the CPU.

    Raises:
        InputError: the file is absent, damaged or something else.
    """
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        raise InputError(f"--checkpoint must be a file, but {path} does not exist") from None
    except Exception as error:  # whatever the parsers inside torch raise
        raise InputError(
            "--checkpoint must be written by `relaxit-vae train`, "
            f"but {path} is something else or damaged"
        ) from error
    expected = {"state_dict", "hyper_parameters", "optimizer_states", "loops", "temperature"}
    if not isinstance(state, dict) or not expected <= state.keys():
        raise InputError(
            "--checkpoint must be written by `relaxit-vae train`, "
            f"but {path} is something else or damaged"
        )
    return state
