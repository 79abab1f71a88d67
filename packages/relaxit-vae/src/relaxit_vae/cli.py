"""The command `relaxit-vae`: the functions of `relaxit_vae`, with the options of `Config`."""

import json
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from typer.core import TyperGroup

from relaxit_vae.config import SIZES, Accelerator, Config, DataDir, Strategy
from relaxit_vae.errors import InputError, TrainingError
from relaxit_vae.files import write_text

if TYPE_CHECKING:
    from relaxit_vae.evaluation import Evaluation


class Commands(TyperGroup):
    """Runs a command. Errors that users can mend are one line on standard error and status 1."""

    def invoke(self, ctx: Any) -> None:
        try:
            command = super().invoke(ctx)
            if isinstance(command, TrainingOptions):
                command.run()
        except BrokenPipeError:  # typer ends quietly
            raise
        except (InputError, TrainingError, OSError) as error:
            print(f"relaxit-vae: {error}", file=sys.stderr)
            raise typer.Exit(1) from error
        finally:
            if "torch.distributed" in sys.modules:
                from relaxit_vae.processes import end_processes

                end_processes()


app = typer.Typer(
    cls=Commands,
    help="Variational autoencoders on MNIST with relaxed discrete latents.",
    add_completion=False,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)


def options_from(context: typer.Context, path: Path | None) -> None:
    """Makes the options in a file the defaults of this command."""
    if path:
        values = Config.load(path).plain()
        context.default_map = {name: _as_text(value) for name, value in values.items()}


BatchSize = Annotated[int, typer.Option(min=1, help="Images per step, over all devices.")]
Checkpoint = Annotated[
    Path, typer.Option(help="Checkpoint of a run, such as runs/x/checkpoints/last.ckpt.")
]
ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        callback=options_from,
        is_eager=True,
        help="Options as JSON, such as the config.json of a run. Options given here prevail.",
    ),
]
Count = Annotated[int, typer.Option(min=1, help="Number of digits.")]
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
    typer.Option("--resume", help="Continue the interrupted run in --output, with its options."),
]
Seed = Annotated[int, typer.Option(min=0, help="Seed of everything random.")]
Seeds = Annotated[int, typer.Option(min=1, help="Runs of each latent, from --seed upwards.")]


@dataclass(frozen=True, kw_only=True)
class TrainingOptions(Config):
    """What the command line gives to a command that trains. typer reads the constructor."""

    context: typer.Context
    hidden: Annotated[str, SIZES] = ",".join(map(str, Config.hidden))  # type: ignore[assignment]
    config: ConfigFile = None

    def __post_init__(self) -> None:
        """Checks nothing: `chosen` does."""

    def run(self) -> None:
        """Runs the command."""
        raise NotImplementedError

    def chosen(self, *, resume: bool = False) -> Config:
        """Returns the options of the run.

        With `resume` they are the options of the run in that folder, changed by those that the
        command line gives.
        """
        given = {option.name: getattr(self, option.name) for option in fields(Config)}
        config = Config.from_plain(given)
        saved = config.folder / "config.json"
        if not resume or not saved.exists():
            return config
        explicit = {name: value for name, value in given.items() if self._is_given(name)}
        return Config.from_plain(Config.load(saved).plain() | explicit | {"output": config.folder})

    def _is_given(self, name: str) -> bool:
        """Whether the command line or the file of `--config` gives an option."""
        return getattr(self.context.get_parameter_source(name), "name", "DEFAULT") != "DEFAULT"


@app.command("train")
@dataclass(frozen=True, kw_only=True)
class Train(TrainingOptions):
    """Train a model; leave checkpoint, logs and pictures in its folder."""

    importance_samples: ImportanceSamples = 100
    resume: Resume = False
    overwrite: Overwrite = False
    quiet: Quiet = False

    def run(self) -> None:
        with status("Starting", self.quiet):
            from relaxit_vae import runs

            config = self.chosen(resume=self.resume)
        run = runs.train(
            config,
            overwrite=self.overwrite,
            resume=self.resume,
            quiet=self.quiet,
            importance_samples=self.importance_samples,
        )
        say(self.quiet, f"{run.folder}: {summary(run.evaluation)}, {run.seconds:.0f} s")


@app.command()
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
    with status("Starting", quiet):
        from relaxit_vae import provenance, runs
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


@app.command()
def sample(
    checkpoint: Checkpoint,
    output: Output = Path(),
    count: Count = 100,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw new digits from the prior: samples.png."""
    with status("Drawing digits", quiet):
        from relaxit_vae import figures, runs

        target = picture(output, "samples.png", overwrite)
        figures.save_grid(target, runs.sample(checkpoint, count=count, seed=seed))
    say(quiet, str(target))


@app.command()
def reconstruct(
    checkpoint: Checkpoint,
    output: Output = Path(),
    data_dir: DataDir = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw test images above their reconstructions: reconstruction.png."""
    with status("Reconstructing", quiet):
        from relaxit_vae import figures, runs

        target = picture(output, "reconstruction.png", overwrite)
        figures.save_pairs(target, *runs.reconstruct(checkpoint, data_dir=data_dir, seed=seed))
    say(quiet, str(target))


@app.command("compare")
@dataclass(frozen=True, kw_only=True)
class Compare(TrainingOptions):
    """Train several latents; leave a table, a chart and all runs.

    --latent takes names separated by commas. Each may have options of its own, such as
    binary-concrete,gumbel-softmax:hard:variables=4. An estimator is the last option, before its
    own: gumbel-softmax:estimator=gumbel-rao:samples=10.
    """

    seeds: Seeds = 1
    importance_samples: ImportanceSamples = 100
    json_file: JsonFile = None
    resume: Resume = False
    overwrite: Overwrite = False
    quiet: Quiet = False

    def run(self) -> None:
        with status("Starting", self.quiet):
            from relaxit_vae import comparison

            config = self.chosen()
        rows = comparison.compare(
            config,
            seeds=self.seeds,
            importance_samples=self.importance_samples,
            overwrite=self.overwrite,
            resume=self.resume,
            quiet=self.quiet,
        )
        if self.json_file and is_first():
            folder = config.output or Path("runs", "compare")
            write_text(self.json_file, (folder / "compare.json").read_text())
        say(self.quiet, comparison.table(rows))


@app.command()
def bridge(
    concentration: Annotated[
        str | None, typer.Option(help="Three positive numbers such as 2,3,5. Default: random.")
    ] = None,
    output: Output = Path(),
    json_file: JsonFile = None,
    seed: Seed = 0,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw a Dirichlet, its logistic-normal and the Dirichlet that comes back: bridge.png."""
    with status("Drawing", quiet):
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


@app.command()
def gradients(
    checkpoint: Checkpoint,
    estimators: Annotated[
        str, typer.Option(help="Names separated by commas, each with options as in --estimator.")
    ] = "reinmax,straight-through,gumbel-softmax-straight-through,gumbel-rao",
    samples: Annotated[int, typer.Option(min=2, help="Draws of each estimator.")] = 512,
    images: Annotated[int, typer.Option(min=1, help="Number of test images.")] = 100,
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
    with status("Comparing gradients", quiet):
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


def _as_text(value: Any) -> Any:
    return ",".join(map(str, value)) if isinstance(value, list) else value


def _numbers(option: str, text: str) -> tuple[float, ...]:
    try:
        return tuple(float(part) for part in text.split(","))
    except ValueError:
        raise InputError(f"--{option} must be numbers such as 2,3,5, but got {text}") from None


def status(what: str, quiet: bool) -> AbstractContextManager[Any]:
    """Returns a context with a spinner, unless `quiet`."""
    return nullcontext() if quiet else Console(stderr=True).status(f"{what} ...")


def is_first() -> bool:
    """Whether this process reports: it is the only one, or the first of several."""
    from relaxit_vae.processes import is_first_process

    return is_first_process()


def say(quiet: bool, text: str) -> None:
    """Prints a result, unless `quiet`."""
    if not quiet and is_first():
        print(text)


def picture(folder: Path, name: str, overwrite: bool) -> Path:
    """Returns the path of a picture in `folder`, which is made.

    Raises:
        InputError: the picture exists, unless `overwrite`.
    """
    path = folder / name
    if path.exists() and not overwrite:
        raise InputError(f"--output must have no {name} unless --overwrite, but {path} exists")
    folder.mkdir(parents=True, exist_ok=True)
    return path


def summary(evaluation: "Evaluation") -> str:
    """Returns one line for people."""
    return (
        f"bound {evaluation.bound:.2f} ± {evaluation.bound_stderr:.2f} nats per image on "
        f"{evaluation.images} test images with {evaluation.importance_samples} samples "
        f"(ELBO {evaluation.elbo:.2f} = reconstruction {evaluation.reconstruction:.2f} "
        f"- KL {evaluation.kl:.2f}; {evaluation.active_units} of {evaluation.units} units active; "
        f"code {evaluation.code})"
    )
