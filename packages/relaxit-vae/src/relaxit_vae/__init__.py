"""Variational autoencoders on MNIST with any relaxed discrete latent of `relaxit_torch`.

`train(Config(...))` writes a run to a folder. `sample`, `reconstruct` and `evaluate` read its
checkpoint. `compare` trains several latents, and `gradients` compares estimators inside a model.
The command `relaxit-vae` does the same.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from relaxit_vae.config import Config as Config
from relaxit_vae.errors import InputError as InputError
from relaxit_vae.errors import TrainingError as TrainingError

if TYPE_CHECKING:
    from relaxit_vae.comparison import compare as compare
    from relaxit_vae.evaluation import Evaluation as Evaluation
    from relaxit_vae.gradient_quality import gradients as gradients
    from relaxit_vae.laplace import Bridge as Bridge
    from relaxit_vae.laplace import bridge as bridge
    from relaxit_vae.module import VAE as VAE
    from relaxit_vae.runs import Run as Run
    from relaxit_vae.runs import evaluate as evaluate
    from relaxit_vae.runs import reconstruct as reconstruct
    from relaxit_vae.runs import sample as sample
    from relaxit_vae.runs import train as train

_HOMES = {
    "VAE": "module",
    "Bridge": "laplace",
    "Evaluation": "evaluation",
    "Run": "runs",
    "bridge": "laplace",
    "compare": "comparison",
    "evaluate": "runs",
    "gradients": "gradient_quality",
    "reconstruct": "runs",
    "sample": "runs",
    "train": "runs",
}


def __getattr__(name: str) -> Any:
    """Imports Lightning only when something needs it: `relaxit-vae --help` answers at once."""
    if name in _HOMES:
        return getattr(import_module(f"relaxit_vae.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
