"""Writes files atomically: a process that dies leaves the old file or the new one."""

import contextlib
import os
from pathlib import Path


def write_bytes(path: Path, content: bytes) -> None:
    """Writes a file beside the target, to the disk, and then renames it.

    A reader sees the old file or the new one. The rename is atomic, because it stays within one
    folder and hence within one file system.

    Raises:
        OSError: writing failed, for instance because the disk is full. The old file is left.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    try:
        with partial.open("wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)
        raise OSError(error.errno, error.strerror, str(path)) from error
    _sync_folder(path.parent)


def write_text(path: Path, content: str) -> None:
    """Writes text as `write_bytes` does."""
    write_bytes(path, content.encode())


def _sync_folder(folder: Path) -> None:
    """Makes the rename durable, on systems where a folder can be opened."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
