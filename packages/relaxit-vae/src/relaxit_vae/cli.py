"""The command `relaxit-vae`: the functions of `relaxit_vae.runs`, with the options of `Config`."""

import json
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console

from relaxit_vae.config import Config
from relaxit_vae.errors import InputError

if TYPE_CHECKING:
    from relaxit_vae.runs import Evaluation

app = typer.Typer(
    help="Variational autoencoders on MNIST with relaxed discrete latents.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)

HELP = {declared.name: declared.metadata["help"] for declared in fields(Config)}
Checkpoint = Annotated[
    Path, typer.Option(help="Checkpoint of a run, such as runs/x/checkpoints/last.ckpt.")
]
Count = Annotated[int, typer.Option(min=1, help="How many digits to draw.")]
DataDir = Annotated[Path | None, typer.Option(help=HELP["data_dir"])]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures to a file.")]
Output = Annotated[Path, typer.Option(help="Folder of the picture.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Seed = Annotated[int, typer.Option(min=0, help=HELP["seed"])]


def train(*, overwrite: bool, quiet: bool, **options: Any) -> None:
    """Train a model; leave checkpoint, logs and pictures in its folder."""
    with one_line_errors(), status("Starting", quiet):
        from relaxit_vae import runs

        config = Config.from_plain(options)
    with one_line_errors():
        run = runs.train(config, overwrite=overwrite, quiet=quiet)
    say(quiet, f"{run.folder}: {summary(run.evaluation)}, {run.seconds:.0f} s")


def sample(
    checkpoint: Checkpoint,
    output: Output = Path(),
    count: Count = 100,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw new digits from the prior: samples.png."""
    with one_line_errors(), status("Drawing digits", quiet):
        from relaxit_vae import figures, runs

        target = picture(output, "samples.png", overwrite)
        figures.save_grid(target, runs.sample(checkpoint, count=count, seed=seed))
    say(quiet, str(target))


def reconstruct(
    checkpoint: Checkpoint,
    output: Output = Path(),
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw test images above their reconstructions: reconstruction.png."""
    with one_line_errors(), status("Reconstructing", quiet):
        from relaxit_vae import figures, runs

        target = picture(output, "reconstruction.png", overwrite)
        figures.save_pairs(target, *runs.reconstruct(checkpoint, data_dir=data_dir, seed=seed))
    say(quiet, str(target))


def evaluate(
    checkpoint: Checkpoint,
    json_file: JsonFile = None,
    data_dir: DataDir = None,
    seed: Seed = 0,
    quiet: Quiet = False,
) -> None:
    """Report the one-sample bound of the discrete model on the test images, in nats per image."""
    with one_line_errors(), status("Evaluating", quiet):
        from relaxit_vae import runs

        evaluation = runs.evaluate(checkpoint, data_dir=data_dir, seed=seed)
        if json_file:
            json_file.write_text(json.dumps(asdict(evaluation), indent=2) + "\n")
    say(quiet, summary(evaluation))


def _signature_of_train() -> Signature:
    """What typer reads as the parameters of `train`: every field of `Config`, then the switches."""
    types = get_type_hints(Config)
    options: dict[str, tuple[Any, Any]] = {}
    for declared in fields(Config):
        kind, default = types[declared.name], declared.default
        if isinstance(default, tuple):
            kind, default = str, ",".join(map(str, default))
        switch = [f"--{declared.name}"] if kind is bool else []  # without it typer adds --no-...
        option = typer.Option(*switch, help=declared.metadata["help"])
        options[declared.name] = (Annotated[kind, option], default)
    options |= {"overwrite": (Overwrite, False), "quiet": (Quiet, False)}
    return Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in options.items()
        ]
    )


train.__signature__ = _signature_of_train()  # type: ignore[attr-defined]
for command in (train, evaluate, sample, reconstruct):
    app.command()(command)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what users can mend into one line on standard error and exit status 1."""
    try:
        yield
    except (InputError, OSError) as error:
        print(f"relaxit-vae: {error}", file=sys.stderr)
        raise typer.Exit(1) from error


def status(what: str, quiet: bool) -> AbstractContextManager[Any]:
    """A spinner for as long as it takes."""
    return nullcontext() if quiet else Console(stderr=True).status(f"{what} ...")


def say(quiet: bool, text: str) -> None:
    """Print a result, unless told not to."""
    if not quiet:
        print(text)


def picture(folder: Path, name: str, overwrite: bool) -> Path:
    """The path of a picture in `folder`, which is made; refuses a file that exists."""
    path = folder / name
    if path.exists() and not overwrite:
        raise InputError(f"--output must have no {name} unless --overwrite, but {path} exists")
    folder.mkdir(parents=True, exist_ok=True)
    return path


def summary(evaluation: "Evaluation") -> str:
    """One line for people."""
    return (
        f"ELBO {evaluation.elbo:.2f} nats per image on {evaluation.images} test images "
        f"(reconstruction {evaluation.reconstruction:.2f}, KL {evaluation.kl:.2f})"
    )
