"""The options of a run, declared once.

The command line, `config.json` and every checkpoint are derived from here.
"""

# ruff: noqa: RUF009 -- `option` is `dataclasses.field`

import json
import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from relaxit_vae.errors import InputError
from relaxit_vae.files import write_text

Annealing = Literal["exponential", "linear"]
Binarize = Literal["none", "threshold", "dynamic"]
Correlation = Literal["identity", "learned"]
Divergence = Literal["discrete", "relaxed", "closed-form"]
Optimizer = Literal["adam", "adamw", "sgd"]
Precision = Literal["32-true", "64-true", "bf16-mixed", "16-mixed"]
Prior = Literal["uniform", "learned"]


def option(
    default: Any, description: str, *, above: float | None = None, latent: bool = False
) -> Any:
    """A field with its help text and, for numbers, the bound that a given value must exceed.

    With `latent` it is an argument of the latent's class, of the same name.
    """
    return field(default=default, metadata={"help": description, "above": above, "latent": latent})


@dataclass(frozen=True, kw_only=True)
class Config:
    """All options of `relaxit-vae train`.

    Raises `InputError` when a number is out of its range.

    Example:
        >>> Config(latent="gumbel-softmax", epochs=5).learning_rate
        0.001
    """

    latent: str = option("binary-concrete", "Class of relaxit_torch, in kebab case.")
    hard: bool = option(False, "Discrete values forward, relaxed gradients backward.", latent=True)
    temperature: float | None = option(
        None,
        "Temperature of the relaxation; by default that of the class, or 0.5.",
        above=0,
        latent=True,
    )
    final_temperature: float | None = option(
        None, "Temperature at the end of training; by default it does not change.", above=0
    )
    annealing: Annealing = option("exponential", "How the temperature goes there.")
    k: int | None = option(
        None, "How many categories a top-k latent chooses; by default 2.", above=0, latent=True
    )
    independent_noise: bool = option(
        False, "Fresh noise for each of the k choices of a top-k latent.", latent=True
    )
    scale: float | None = option(
        None, "Scale of a latent that has a fixed one.", above=0, latent=True
    )
    low: float | None = option(None, "Lower end of a stretched latent.", latent=True)
    high: float | None = option(None, "Upper end of a stretched latent.", latent=True)
    delta: float | None = option(
        None, "Constant of the last category in an invertible latent.", above=0, latent=True
    )
    correlation: Correlation | None = option(
        None, "Of a latent whose variables are correlated; by default learned."
    )
    variables: int | None = option(
        None, "Latent variables per image; by default 20, or 8 if categorical.", above=0
    )
    categories: int = option(16, "Categories of each variable, for categorical latents.", above=1)
    hidden: tuple[int, ...] = option(
        (512, 256), "Sizes of the hidden layers, from the image inwards.", above=0
    )
    prior: Prior = option("uniform", "All codes as likely, or probabilities that are learned.")
    kl: Divergence | None = option(
        None,
        "Divergence in the objective; by default one that makes it a bound: discrete with hard "
        "values; with relaxed values closed-form if there is one, else relaxed. Where the relaxed "
        "laws have no finite one it is discrete, and no bound.",
    )
    estimator: str | None = option(
        None,
        "Gradient estimator of relaxit_torch.estimators, in kebab case, with options such as "
        "gumbel-rao:samples=10: the decoder then reads codes of the discrete law.",
    )
    binarize: Binarize = option("none", "Grey levels, pixels above 1/2, or fresh Bernoulli draws.")
    optimizer: Optimizer = option("adam", "Method of torch.optim.")
    learning_rate: float = option(1e-3, "Step size of the optimizer.", above=0)
    batch_size: int = option(100, "Images per step, over all devices.", above=0)
    epochs: int = option(60, "Passes over the training images.", above=0)
    seed: int = option(0, "Seed of everything random.", above=-1)
    devices: int = option(1, "Processes that train together.", above=0)
    strategy: str = option("auto", "How they do: a strategy of Lightning, such as ddp.")
    accelerator: str = option("auto", "Where: an accelerator of Lightning, such as cpu or gpu.")
    precision: Precision = option("32-true", "Arithmetic of the networks.")
    compile: bool = option(False, "Compile the networks with torch.compile.")
    data_dir: Path | None = option(
        None, "Folder of the full MNIST, downloaded if absent; by default the shipped subset."
    )
    output: Path | None = option(None, "Folder of the run; by default runs/LATENT.")

    def __post_init__(self) -> None:
        for declared in fields(self):
            given, above = getattr(self, declared.name), declared.metadata["above"]
            if above is None or given is None:
                continue
            for number in given if isinstance(given, tuple) else (given,):
                if not above < number < math.inf:
                    finite = " and finite" if number == math.inf else ""
                    raise InputError(
                        f"{flag(declared.name)} must be greater than {above}{finite}, "
                        f"but got {number}"
                    )

    @property
    def folder(self) -> Path:
        """Where the run is written."""
        return self.output or Path("runs", self.latent + "-hard" * self.hard)

    def plain(self) -> dict[str, Any]:
        """The options as JSON values."""
        values = asdict(self) | {"hidden": list(self.hidden)}
        return {
            name: str(value) if isinstance(value, Path) else value for name, value in values.items()
        }

    @classmethod
    def from_plain(cls, values: Mapping[str, Any]) -> "Config":
        """The inverse of `plain`; values may also be texts, such as `512,256` for `hidden`.

        Raises `InputError` for options that do not exist or do not parse.
        """
        types = get_type_hints(cls)
        if unknown := values.keys() - types.keys():
            raise InputError(f"options must be those of Config, but got {sorted(unknown)}")
        return cls(**{name: _parsed(name, types[name], value) for name, value in values.items()})

    @classmethod
    def load(cls, path: Path) -> "Config":
        """The options in a JSON file that `save` wrote, or a person: what is absent is default.

        Raises `InputError` when the file is absent or holds something else.
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
        """Write the options as JSON."""
        write_text(path, json.dumps(self.plain(), indent=2) + "\n")


def flag(name: str) -> str:
    """The name of an option as the command line has it."""
    return "--" + name.replace("_", "-")


def _parsed(name: str, kind: Any, value: Any) -> Any:
    """`value` as the type of an option, from a JSON value or a text."""
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
