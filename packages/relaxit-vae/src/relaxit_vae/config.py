"""The options of a run, declared once.

The command line, `config.json` and every checkpoint are derived from `Config`.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin, get_type_hints

from typer import Option

from relaxit_vae.errors import InputError
from relaxit_vae.files import write_text

Annealing = Literal["exponential", "linear"]
Binarize = Literal["none", "threshold", "dynamic"]
Correlation = Literal["identity", "learned"]
Divergence = Literal["discrete", "relaxed", "closed-form"]
Optimizer = Literal["adam", "adamw", "sgd"]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]
Prior = Literal["uniform", "learned"]


class Above(NamedTuple):
    """A bound that an option must exceed."""

    bound: float


Accelerator = Annotated[str, Option(help="Accelerator of Lightning, such as cpu or gpu.")]
DataDir = Annotated[
    Path | None,
    Option(help="Folder of the full MNIST, downloaded if absent. Default: the shipped subset."),
]
Strategy = Annotated[str, Option(help="Strategy of Lightning for several processes, such as ddp.")]
SIZES = Option(help="Sizes of the hidden layers, in the order of the encoder.")


@dataclass(frozen=True, kw_only=True)
class Config:
    """All options of `relaxit-vae train`.

    Raises:
        InputError: a number is out of its range.

    Example:
        >>> Config(latent="gumbel-softmax", epochs=5).learning_rate
        0.001
    """

    latent: Annotated[str, Option(help="Class of relaxit_torch in kebab case.")] = "binary-concrete"
    hard: Annotated[
        bool, Option("--hard", help="Discrete samples, with the gradient of relaxed ones.")
    ] = False
    temperature: Annotated[
        float | None,
        Option(help="Temperature of the relaxation. Default: 0.5, or 2/3 for hard-concrete."),
        Above(0),
    ] = None
    final_temperature: Annotated[
        float | None, Option(help="Final temperature of the run. Default: it stays."), Above(0)
    ] = None
    annealing: Annotated[Annealing, Option(help="How the temperature changes.")] = "exponential"
    k: Annotated[
        int | None, Option(help="Categories that a top-k latent chooses. Default: 2."), Above(0)
    ] = None
    independent_noise: Annotated[
        bool, Option("--independent-noise", help="New noise for each choice of a top-k latent.")
    ] = False
    scale: Annotated[
        float | None, Option(help="Scale of gaussian-relaxed-bernoulli. Default: 0.5."), Above(0)
    ] = None
    low: Annotated[float | None, Option(help="Lower end of hard-concrete. Default: -0.1.")] = None
    high: Annotated[float | None, Option(help="Upper end of hard-concrete. Default: 1.1.")] = None
    delta: Annotated[
        float | None, Option(help="Constant of invertible-gaussian. Default: 1."), Above(0)
    ] = None
    correlation: Annotated[
        Correlation | None, Option(help="Correlation of correlated bits. Default: learned.")
    ] = None
    variables: Annotated[
        int | None,
        Option(help="Latent variables per image. Default: 20, or 8 for categorical latents."),
        Above(0),
    ] = None
    categories: Annotated[
        int, Option(help="Categories of each variable, for categorical latents."), Above(1)
    ] = 16
    hidden: Annotated[tuple[int, ...], SIZES, Above(0)] = (512, 256)
    prior: Annotated[Prior, Option(help="All codes equally likely, or learned.")] = "uniform"
    kl: Annotated[
        Divergence | None,
        Option(
            help="Divergence in the objective. The default makes the objective a bound: discrete "
            "with hard samples, otherwise closed-form or, without a closed form, relaxed. If the "
            "relaxed divergence is infinite, the default is discrete, and the objective is no "
            "bound."
        ),
    ] = None
    estimator: Annotated[
        str | None,
        Option(
            help="Gradient estimator of relaxit_torch.estimators in kebab case, with options such "
            "as gumbel-rao:samples=10. The decoder then reads discrete codes."
        ),
    ] = None
    binarize: Annotated[
        Binarize, Option(help="Pixels: grey levels, compared with 1/2, or fresh Bernoulli draws.")
    ] = "none"
    optimizer: Annotated[Optimizer, Option(help="Optimizer of torch.optim.")] = "adam"
    learning_rate: Annotated[float, Option(help="Step size of the optimizer."), Above(0)] = 1e-3
    batch_size: Annotated[int, Option(help="Images per step, over all devices."), Above(0)] = 100
    epochs: Annotated[int, Option(help="Passes over the training images."), Above(0)] = 60
    seed: Annotated[int, Option(help="Seed of everything random."), Above(-1)] = 0
    devices: Annotated[int, Option(help="Processes that train together."), Above(0)] = 1
    strategy: Strategy = "auto"
    accelerator: Accelerator = "auto"
    precision: Annotated[Precision, Option(help="Arithmetic of the networks.")] = "32-true"
    compile: Annotated[bool, Option("--compile", help="Compile the networks.")] = False
    data_dir: DataDir = None
    output: Annotated[Path | None, Option(help="Folder of the run. Default: runs/LATENT.")] = None

    def __post_init__(self) -> None:
        for name, kind in get_type_hints(Config, include_extras=True).items():
            given = getattr(self, name)
            numbers = given if isinstance(given, tuple) else (given,)
            for bound in (mark.bound for mark in get_args(kind) if isinstance(mark, Above)):
                for number in numbers:
                    if number is not None and not bound < number < math.inf:
                        finite = " and finite" if number == math.inf else ""
                        raise InputError(
                            f"{flag(name)} must be greater than {bound}{finite}, but got {number}"
                        )

    @property
    def folder(self) -> Path:
        """The folder of the run."""
        return self.output or Path("runs", self.latent + "-hard" * self.hard)

    def plain(self) -> dict[str, Any]:
        """Returns the options as JSON values."""
        values = asdict(self) | {"hidden": list(self.hidden)}
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Config":
        """Returns the options with these values, from `plain` or from texts such as `512,256`.

        Raises:
            InputError: an option does not exist, or its value does not parse.
        """
        types = get_type_hints(cls)
        if unknown := values.keys() - types.keys():
            raise InputError(f"options must be those of Config, but got {sorted(unknown)}")
        return cls(**{name: _parsed(name, types[name], value) for name, value in values.items()})

    @classmethod
    def load(cls, path: Path) -> "Config":
        """Returns the options in a JSON file. Options that the file lacks have their defaults.

        Raises:
            InputError: the file is absent or holds something else.
        """
        try:
            values = json.loads(path.read_text())
        except FileNotFoundError:
            raise InputError(f"--config must be a file, but {path} does not exist") from None
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: must hold options as JSON, but: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"{path}: must hold options by name, but got {values!r}")
        try:
            return cls.from_plain(values)
        except InputError as error:
            raise InputError(f"{path}: {error}") from error

    def save(self, path: Path) -> None:
        """Writes the options as JSON."""
        write_text(path, json.dumps(self.plain(), indent=2) + "\n")


def flag(name: str) -> str:
    """Returns the name of an option as the command line has it."""
    return "--" + name.replace("_", "-")


def _parsed(name: str, kind: Any, value: Any) -> Any:
    """Returns a JSON value or a text as a value of the option's type."""
    kinds = get_args(kind) if get_origin(kind) in (Union, UnionType) else (kind,)
    for possible in kinds:
        if possible is NoneType or get_origin(possible) is Literal:
            if value in (get_args(possible) or (None,)):
                return value
        elif possible is bool:
            if str(value).lower() in ("true", "false"):
                return str(value).lower() == "true"
        elif value is not None and not isinstance(value, bool):
            try:
                if possible is int and value != int(value) and not isinstance(value, str):
                    continue
                return _sizes(value) if get_origin(possible) is tuple else possible(value)
            except (TypeError, ValueError):
                continue
    raise InputError(f"{flag(name)} must be {' or '.join(map(_words, kinds))}, but got {value}")


def _sizes(value: Any) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    return tuple(int(part) for part in parts)


def _words(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return ", ".join(get_args(kind))
    if get_origin(kind) is tuple:
        return "sizes such as 512,256"
    names = {
        int: "an integer",
        float: "a number",
        bool: "true or false",
        str: "a text",
        Path: "a path",
    }
    return names.get(kind, "null")
