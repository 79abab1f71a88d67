"""Variational autoencoders on MNIST with any relaxed discrete latent of `relaxit_torch`.

`train(Config(...))` leaves a run in a folder; `sample`, `reconstruct` and `evaluate` take its
checkpoint. The command `relaxit-vae` does the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from relaxit_vae.config import Config as Config
from relaxit_vae.errors import InputError as InputError

if TYPE_CHECKING:
    from relaxit_vae.module import VAE as VAE
    from relaxit_vae.runs import Evaluation as Evaluation
    from relaxit_vae.runs import Run as Run
    from relaxit_vae.runs import evaluate as evaluate
    from relaxit_vae.runs import reconstruct as reconstruct
    from relaxit_vae.runs import sample as sample
    from relaxit_vae.runs import train as train

__all__ = [
    "VAE",
    "Config",
    "Evaluation",
    "InputError",
    "Run",
    "evaluate",
    "reconstruct",
    "sample",
    "train",
]


def __getattr__(name: str) -> Any:
    """Import Lightning only when something needs it: `relaxit-vae --help` answers at once."""
    if name in __all__:
        return getattr(import_module("relaxit_vae.runs"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
