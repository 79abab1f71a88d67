"""The command `relaxit-vae`: the functions of `relaxit_vae`, with the options of `Config`."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import asdict, fields
from inspect import Parameter, Signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer
from rich.console import Console

from relaxit_vae.config import Config
from relaxit_vae.errors import InputError, TrainingError
from relaxit_vae.files import write_text

if TYPE_CHECKING:
    from relaxit_vae.evaluation import Evaluation

app = typer.Typer(
    help="Variational autoencoders on MNIST with relaxed discrete latents.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


@contextmanager
def one_line_errors() -> Iterator[None]:
    """Turn what users can mend into one line on standard error and exit status 1."""
    try:
        yield
    except (InputError, TrainingError, OSError) as error:
        print(f"relaxit-vae: {error}", file=sys.stderr)
        raise typer.Exit(1) from error
    finally:
        if "torch.distributed" in sys.modules:
            from relaxit_vae.processes import end_processes

            end_processes()


def options_from(context: typer.Context, path: Path | None) -> None:
    """Let the options in a file be the defaults of this command."""
    if path:
        with one_line_errors():
            values = Config.load(path).plain()
        context.default_map = {name: _as_text(value) for name, value in values.items()}


HELP = {declared.name: declared.metadata["help"] for declared in fields(Config)}
Accelerator = Annotated[str, typer.Option(help=HELP["accelerator"])]
BatchSize = Annotated[int, typer.Option(min=1, help=HELP["batch_size"])]
Checkpoint = Annotated[
    Path, typer.Option(help="Checkpoint of a run, such as runs/x/checkpoints/last.ckpt.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=options_from,
        is_eager=True,
        help="Options as JSON, such as the config.json of a run; others given here prevail.",
    ),
]
Count = Annotated[int, typer.Option(min=1, help="How many digits to draw.")]
DataDir = Annotated[Path | None, typer.Option(help=HELP["data_dir"])]
Devices = Annotated[int, typer.Option(min=1, help="Processes that evaluate together.")]
ImportanceSamples = Annotated[
    int, typer.Option(min=1, help="Samples per image for the importance-weighted bound.")
]
JsonFile = Annotated[Path | None, typer.Option("--json", help="Also write the figures to a file.")]
Output = Annotated[Path, typer.Option(help="Folder of the picture.")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace what is there.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="Print nothing but errors.")]
Resume = Annotated[
    bool,
    typer.Option(
        "--resume", help="Go on with the interrupted run in --output, with the options it has."
    ),
]
Seed = Annotated[int, typer.Option(min=0, help=HELP["seed"])]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each latent, from --seed upwards.")]
Strategy = Annotated[str, typer.Option(help=HELP["strategy"])]


def train(
    *,
    context: typer.Context,
    importance_samples: int,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train a model; leave checkpoint, logs and pictures in its folder."""
    with one_line_errors(), status("Starting", quiet):
        from relaxit_vae import runs

        config = _config(options, context, resume=resume)
    with one_line_errors():
        run = runs.train(
            config,
            overwrite=overwrite,
            resume=resume,
            quiet=quiet,
            importance_samples=importance_samples,
        )
    say(quiet, f"{run.folder}: {summary(run.evaluation)}, {run.seconds:.0f} s")


def evaluate(
    checkpoint: Checkpoint,
    importance_samples: ImportanceSamples = 100,
    json_file: JsonFile = None,
    data_dir: DataDir = None,
    batch_size: BatchSize = 100,
    seed: Seed = 0,
    devices: Devices = 1,
    strategy: Strategy = "auto",
    accelerator: Accelerator = "auto",
    quiet: Quiet = False,
) -> None:
    """Report the bounds of the discrete model on the test images, in nats per image."""
    with one_line_errors(), status("Starting", quiet):
        from relaxit_vae import provenance, runs
    with one_line_errors():
        evaluation = runs.evaluate(
            checkpoint,
            data_dir=data_dir,
            importance_samples=importance_samples,
            batch_size=batch_size,
            seed=seed,
            devices=devices,
            strategy=strategy,
            accelerator=accelerator,
            quiet=quiet,
        )
        if json_file and is_first():
            figures = asdict(evaluation) | {"about": provenance.provenance()}
            write_text(json_file, json.dumps(figures, indent=2) + "\n")
    say(quiet, summary(evaluation))


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


def compare(
    *,
    context: typer.Context,
    seeds: int,
    importance_samples: int,
    json_file: Path | None,
    resume: bool,
    overwrite: bool,
    quiet: bool,
    **options: Any,
) -> None:
    """Train several latents; leave a table, a chart and all runs.

    --latent takes names separated by commas, each with options of its own if need be, such as
    binary-concrete,gumbel-softmax:hard:variables=4. An estimator is the last option, before its
    own: gumbel-softmax:estimator=gumbel-rao:samples=10.
    """
    with one_line_errors(), status("Starting", quiet):
        from relaxit_vae import comparison

        config = _config(options, context)
    with one_line_errors():
        rows = comparison.compare(
            config,
            seeds=seeds,
            importance_samples=importance_samples,
            overwrite=overwrite,
            resume=resume,
            quiet=quiet,
        )
        if json_file and is_first():
            folder = config.output or Path("runs", "compare")
            write_text(json_file, (folder / "compare.json").read_text())
    say(quiet, comparison.table(rows))


def bridge(
    concentration: Annotated[
        str | None, typer.Option(help="Three positive numbers such as 2,3,5; by default random.")
    ] = None,
    output: Output = Path(),
    json_file: JsonFile = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw a Dirichlet, its logistic-normal and the Dirichlet that comes back: bridge.png."""
    with one_line_errors(), status("Drawing", quiet):
        from relaxit_vae import laplace

        numbers = _numbers("concentration", concentration) if concentration else None
        target = picture(output, "bridge.png", overwrite)
        found = laplace.bridge(target, concentration=numbers, seed=seed)
        if json_file:
            write_text(json_file, json.dumps(asdict(found), indent=2) + "\n")
    say(
        quiet,
        f"{target}: KL(Dirichlet || logistic-normal) {found.kl:.6f} nats, "
        f"largest relative error of the concentration that comes back {found.error:.1e}",
    )


def gradients(
    checkpoint: Checkpoint,
    estimators: Annotated[
        str, typer.Option(help="Names separated by commas, with options as --estimator has them.")
    ] = "reinmax,straight-through,gumbel-softmax-straight-through,gumbel-rao",
    samples: Annotated[int, typer.Option(min=2, help="Draws of each estimator.")] = 512,
    images: Annotated[int, typer.Option(min=1, help="How many test images.")] = 100,
    temperatures: Annotated[
        str | None, typer.Option(help="Numbers such as 0.5,1,2: a row for each.")
    ] = None,
    output: Output = Path(),
    data_dir: DataDir = None,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Also write the table.")] = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Compare gradient estimates in a trained model with the sum over all codes: gradients.png."""
    with one_line_errors(), status("Comparing gradients", quiet):
        from relaxit_vae.gradient_quality import gradients as compared

        target = picture(output, "gradients.png", overwrite)
        if csv_file and csv_file.exists() and not overwrite:
            raise InputError(f"--csv must be new unless --overwrite, but {csv_file} exists")
        report = compared(
            checkpoint,
            estimators=estimators.split(","),
            samples=samples,
            images=images,
            temperatures=_numbers("temperatures", temperatures) if temperatures else None,
            data_dir=data_dir,
            seed=seed,
        )
        report.plot(target)
        if csv_file:
            write_text(csv_file, report.to_csv())
    say(quiet, f"{report}\n{target}")


def _signature(**more: tuple[Any, Any]) -> Signature:
    """What typer reads as parameters: every field of `Config`, then these."""
    types = get_type_hints(Config)
    options: dict[str, tuple[Any, Any]] = {"context": (typer.Context, Parameter.empty)}
    for declared in fields(Config):
        kind, default = types[declared.name], declared.default
        if isinstance(default, tuple):
            kind, default = str, _as_text(default)
        switch = [f"--{declared.name.replace('_', '-')}"] if kind is bool else []  # and no --no-...
        option = typer.Option(*switch, help=declared.metadata["help"])
        options[declared.name] = (Annotated[kind, option], default)
    options |= {"config": (ConfigFile, None)} | more
    options |= {"resume": (Resume, False), "overwrite": (Overwrite, False), "quiet": (Quiet, False)}
    return Signature(
        [
            Parameter(name, Parameter.KEYWORD_ONLY, annotation=kind, default=default)
            for name, (kind, default) in options.items()
        ]
    )


def _derive(command: Callable[..., None], **more: tuple[Any, Any]) -> None:
    command.__signature__ = _signature(**more)  # type: ignore[attr-defined]


def _config(options: Mapping[str, Any], context: typer.Context, *, resume: bool = False) -> Config:
    """The options of a command; those of the run itself, where it goes on and says no other."""
    given = {name: value for name, value in options.items() if name != "config"}
    spoken = {name for name in given if _source(context, name) != "DEFAULT"}
    config = Config.from_plain(given)
    saved = config.folder / "config.json"
    if not resume or not saved.exists():
        return config
    explicit = {name: value for name, value in given.items() if name in spoken}
    return Config.from_plain(Config.load(saved).plain() | explicit | {"output": config.folder})


def _source(context: typer.Context, name: str) -> str:
    """Where an option comes from: COMMANDLINE, DEFAULT_MAP (a file) or DEFAULT."""
    return getattr(context.get_parameter_source(name), "name", "DEFAULT")


def _as_text(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list | tuple) else value


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--{option} must be numbers such as 2,3,5, but got {text}") from None


def status(what: str, quiet: bool) -> AbstractContextManager[Any]:
    """A spinner for as long as it takes."""
    return nullcontext() if quiet else Console(stderr=True).status(f"{what} ...")


def is_first() -> bool:
    """Whether this is the only process, or the one among several that reports."""
    from relaxit_vae.processes import is_first_process

    return is_first_process()


def say(quiet: bool, text: str) -> None:
    """Print a result, unless told not to."""
    if not quiet and is_first():
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
        f"bound {evaluation.bound:.2f} ± {evaluation.bound_stderr:.2f} nats per image on "
        f"{evaluation.images} test images with {evaluation.importance_samples} samples "
        f"(ELBO {evaluation.elbo:.2f} = reconstruction {evaluation.reconstruction:.2f} "
        f"- KL {evaluation.kl:.2f}; {evaluation.active_units} of {evaluation.units} units active; "
        f"code {evaluation.code})"
    )


_derive(train, importance_samples=(ImportanceSamples, 100))
_derive(
    compare,
    seeds=(Seeds, 1),
    importance_samples=(ImportanceSamples, 100),
    json_file=(JsonFile, None),
)
for command in (train, evaluate, sample, reconstruct, compare, bridge, gradients):
    app.command()(command)
