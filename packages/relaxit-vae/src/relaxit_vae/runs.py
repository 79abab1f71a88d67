"""The commands as functions."""

import json
import shutil
import time
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from relaxit_vae import figures
from relaxit_vae.checkpoints import load_checkpoint
from relaxit_vae.config import Config, flag
from relaxit_vae.data import BLOCK, Digits, Images, load_images
from relaxit_vae.errors import InputError
from relaxit_vae.evaluation import Evaluation, binarized
from relaxit_vae.files import write_text
from relaxit_vae.history import History
from relaxit_vae.module import VAE
from relaxit_vae.processes import is_first_process
from relaxit_vae.seeds import drawn_from
from relaxit_vae.trainers import hushed, new_trainer, new_training

CHECKPOINT = Path("checkpoints", "last.ckpt")
IMPORTANCE_SAMPLES = 100
"""Default number of samples per image for the importance-weighted bound."""


@dataclass(frozen=True)
class Run:
    """A finished training run."""

    folder: Path
    checkpoint: Path
    evaluation: Evaluation
    seconds: float
    seconds_per_epoch: float
    """The median over the epochs, without the time for evaluation."""
    elbo_by_epoch: tuple[float, ...]
    """The one-sample bound on the test images after each epoch."""


def train(
    config: Config,
    *,
    overwrite: bool = False,
    resume: bool = False,
    quiet: bool = False,
    importance_samples: int = IMPORTANCE_SAMPLES,
) -> Run:
    """Trains as `config` says and writes options, logs, checkpoint and figures to `config.folder`.

    Args:
        config: all options.
        overwrite: whether to remove an earlier run in the folder.
        resume: whether to continue an interrupted run in the folder. It starts after the last whole
            epoch and ends with the parameters that it would have had without the interruption.
        quiet: whether to print nothing.
        importance_samples: samples per image for the importance-weighted bound.

    Raises:
        InputError: the options, the data or the checkpoint are unusable, or the folder is not
            empty. Then nothing in the folder is changed.
        TrainingError: the loss is not finite.
    """
    start = time.perf_counter()
    training, test = load_images("train", config.data_dir), load_images("test", config.data_dir)
    with drawn_from("weights", config.seed), hushed():
        model = VAE(config)
        if model.begins_at_mean:
            model.match_mean(training[:])
        checkpoint = _last_checkpoint(config) if resume else None
        history = History(config.folder)
        trainer = new_training(config, history, quiet)
        if not resume and is_first_process():
            _make_folder(config.folder, overwrite)
            config.save(config.folder / "config.json")
        digits = Digits(training, test, batch_size=config.batch_size, seed=config.seed)
        trainer.fit(model, digits, ckpt_path=checkpoint, weights_only=True)
        model.importance_samples = importance_samples
        trainer.test(model, digits, verbose=False)
    run = Run(
        config.folder,
        config.folder / CHECKPOINT,
        model.evaluation(),
        time.perf_counter() - start,
        median(float(row["seconds"] or 0) for row in history.rows),
        tuple(float(row["test/elbo"] or 0) for row in history.rows),
    )
    if is_first_process():
        _draw(model.cpu().eval(), test, run.folder, history)
        write_text(
            run.folder / "evaluation.json", json.dumps(asdict(run.evaluation), indent=2) + "\n"
        )
    return run


def evaluate(
    checkpoint: Path,
    *,
    data_dir: Path | None = None,
    importance_samples: int = IMPORTANCE_SAMPLES,
    batch_size: int = BLOCK,
    seed: int = 0,
    devices: int = 1,
    strategy: str = "auto",
    accelerator: str = "auto",
    quiet: bool = True,
) -> Evaluation:
    """Returns the bounds of a trained model on the test images.

    The images are from the shipped subset, or from the full data in `data_dir`. The figures depend
    on `seed` and `importance_samples`. The other options affect only the speed.
    """
    model, test = VAE.load(checkpoint), load_images("test", data_dir)
    model.evaluation_seed, model.importance_samples = seed, importance_samples
    with hushed():
        trainer = new_trainer(
            devices=devices,
            strategy=strategy,
            accelerator=accelerator,
            quiet=quiet,
            logger=False,
            enable_checkpointing=False,
        )
        trainer.test(model, Digits(None, test, batch_size=batch_size), verbose=False)
    return model.evaluation()


def sample(checkpoint: Path, *, count: int = 100, seed: int = 0) -> Tensor:
    """Returns new digits: pixel means `(count, 784)` of codes drawn from the prior."""
    return _generate(VAE.load(checkpoint), count, seed)


def reconstruct(
    checkpoint: Path, *, data_dir: Path | None = None, seed: int = 0
) -> tuple[Tensor, Tensor]:
    """Returns two test images of each digit and their reconstructions, both `(20, 784)`."""
    return _reconstruct(VAE.load(checkpoint), load_images("test", data_dir), seed)


@torch.inference_mode()
def _generate(model: VAE, count: int, seed: int) -> Tensor:
    with drawn_from("samples", seed):
        return model.generate(count)


@torch.inference_mode()
def _reconstruct(model: VAE, test: Images, seed: int) -> tuple[Tensor, Tensor]:
    originals = test.of_each_digit(2)
    with drawn_from("reconstructions", seed):
        return originals, model.reconstruct(_prepared(model, originals))


@torch.inference_mode()
def _effects(model: VAE, test: Images, seed: int) -> Tensor:
    """Returns pixel means `(variables, values, 10, 784)`.

    They decode the code of an image of each digit, with each variable set to each value.
    """
    with drawn_from("effects", seed):
        code = model.code(_prepared(model, test.of_each_digit(1)))  # (10, *code_shape)
    choices = values(code.shape[2:]).to(code.dtype)
    changed = code.expand(code.shape[1], len(choices), *code.shape).clone()
    for variable in range(code.shape[1]):
        changed[variable, :, :, variable] = choices[:, None]
    return model.decode(changed).sigmoid()


def values(event: torch.Size) -> Tensor:
    """Returns the values of one variable: both bits, or all categories.

    For a top-k latent each category is followed by the next ones.
    """
    if not event:
        return torch.tensor([0.0, 1.0])
    categories = torch.eye(event[-1])
    if len(event) == 1:
        return categories
    start = torch.arange(event[-1])[:, None]
    return categories[(start + torch.arange(event[0])) % event[-1]]


def _prepared(model: VAE, images: Tensor) -> Tensor:
    return binarized(images.to(model.dtype), model.config.binarize)


def _draw(model: VAE, test: Images, folder: Path, history: History) -> None:
    """Writes the pictures of a run, also for TensorBoard."""
    seed = model.config.seed
    figures.save_pairs(folder / "reconstruction.png", *_reconstruct(model, test, seed))
    figures.save_grid(folder / "samples.png", _generate(model, 100, seed))
    figures.save_effects(folder / "latent.png", _effects(model, test, seed))
    figures.save_curves(folder / "loss.png", history.rows)
    figures.show_in_tensorboard(folder / "tensorboard", sorted(folder.glob("*.png")))


def _last_checkpoint(config: Config) -> Path | None:
    """Returns the checkpoint to continue; `None` if the first epoch was not finished."""
    path = config.folder / "config.json"
    if not path.exists():
        raise InputError(f"--resume must find a run in --output, but {path} does not exist")
    before, now = Config.load(path), config
    for declared in fields(Config):
        name = declared.name
        if name in ("data_dir", "output"):
            continue
        if getattr(now, name) != getattr(before, name):
            raise InputError(
                f"{flag(name)} must be {getattr(before, name)}, as when the run in "
                f"{config.folder} began, but got {getattr(now, name)}"
            )
    checkpoint = config.folder / CHECKPOINT
    if not checkpoint.exists():
        return None
    saved = load_checkpoint(checkpoint)["hyper_parameters"]
    own = before.plain()
    if any(saved.get(name) != own[name] for name in own if name not in ("data_dir", "output")):
        raise InputError(
            f"--resume must find the run's own checkpoint, but {checkpoint} is another"
        )
    return checkpoint


def _make_folder(folder: Path, overwrite: bool) -> None:
    if folder.exists() and any(folder.iterdir()):
        if not overwrite:
            raise InputError(
                f"--output must be a new folder unless --overwrite or --resume, but {folder} exists"
            )
        if not (folder / "config.json").exists():
            raise InputError(
                f"--overwrite must name an earlier run, but {folder} is something else"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
