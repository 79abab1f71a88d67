"""The options of a run, declared once.

The command line, `config.json` and every checkpoint are derived from here.
"""

# ruff: noqa: RUF009 -- `option` is `dataclasses.field`

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from relaxit_vae.errors import InputError

Binarize = Literal["none", "threshold", "dynamic"]


def option(default: Any, description: str, *, above: float | None = None) -> Any:
    """A field with its help text and, for numbers, the bound that a given value must exceed."""
    return field(default=default, metadata={"help": description, "above": above})


@dataclass(frozen=True, kw_only=True)
class Config:
    """All options of `relaxit-vae train`.

    Raises `InputError` when a number is out of its range.

    Example:
        >>> Config(latent="gumbel-softmax", epochs=5).learning_rate
        0.001
    """

    latent: str = option("binary-concrete", "Class of relaxit_torch, in kebab case.")
    hard: bool = option(False, "Discrete values forward, relaxed gradients backward.")
    temperature: float | None = option(
        None, "Temperature of the relaxation; by default that of the class, or 0.5.", above=0
    )
    variables: int | None = option(
        None, "Latent variables per image; by default 20, or 8 if categorical.", above=0
    )
    categories: int = option(16, "Categories of each variable, for categorical latents.", above=1)
    hidden: tuple[int, ...] = option(
        (512, 256), "Sizes of the hidden layers, from the image inwards.", above=0
    )
    epochs: int = option(60, "Passes over the training images.", above=0)
    batch_size: int = option(100, "Images per step.", above=0)
    learning_rate: float = option(1e-3, "Step size of Adam.", above=0)
    binarize: Binarize = option("none", "Grey levels, pixels above 1/2, or fresh Bernoulli draws.")
    seed: int = option(0, "Seed of everything random.", above=-1)
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
                if not number > above:
                    name = declared.name.replace("_", "-")
                    raise InputError(f"--{name} must be greater than {above}, but got {number}")

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
        """The inverse of `plain`; `hidden` may also be a text such as `512,256`.

        Raises `InputError` for options that do not exist or do not parse.
        """
        if unknown := values.keys() - {declared.name for declared in fields(cls)}:
            raise InputError(f"options must be those of Config, but got {sorted(unknown)}")
        options = dict(values)
        if "hidden" in options:
            options["hidden"] = _sizes(options["hidden"])
        for name in ("data_dir", "output"):
            if options.get(name) is not None:
                options[name] = Path(options[name])
        return cls(**options)

    def save(self, path: Path) -> None:
        """Write the options as JSON."""
        path.write_text(json.dumps(self.plain(), indent=2) + "\n")


def _sizes(value: Any) -> tuple[int, ...]:
    parts = value.split(",") if isinstance(value, str) else value
    try:
        return tuple(int(part) for part in parts)
    except ValueError:
        raise InputError(f"--hidden must be sizes such as 512,256, but got {value}") from None
