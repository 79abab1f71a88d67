"""Compares latents over several seeds, in a table and a chart."""

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from statistics import mean, stdev
from typing import Any, get_type_hints

from relaxit_vae import figures
from relaxit_vae.config import Config
from relaxit_vae.errors import InputError
from relaxit_vae.estimation import chosen_estimator, find_estimator
from relaxit_vae.files import write_text
from relaxit_vae.latents import Latent
from relaxit_vae.processes import is_first_process
from relaxit_vae.provenance import provenance
from relaxit_vae.runs import IMPORTANCE_SAMPLES, Run, train

COLUMNS = {
    "bound": "bound",
    "elbo": "ELBO",
    "kl": "KL",
    "objective": "objective",
    "relaxed_bound": "relaxed bound",
    "gap": "gap",
    "active_units": "active units",
    "seconds_per_epoch": "s / epoch",
}
"""The columns of the table: figures and their titles."""

Row = dict[str, Any]


@dataclass(frozen=True)
class Entry:
    """A line of the table: its name, as in `--latent`, and its options."""

    name: str
    config: Config


def entries(config: Config) -> list[Entry]:
    """Returns an entry for each latent in `config.latent`, which commas separate.

    A latent may have options of its own, such as `gumbel-softmax:hard:variables=4`. An estimator is
    the last option, and the words after it are its own options:
    `gumbel-softmax:variables=4:estimator=gumbel-rao:samples=10`.

    Raises:
        InputError: an option, an estimator or a latent does not exist, or a latent is named twice.
    """
    types = get_type_hints(Config)
    found: dict[str, Entry] = {}
    for name in config.latent.split(","):
        before, follows, estimator = name.strip().partition(":estimator=")
        latent, *words = before.split(":")
        own: dict[str, Any] = {"latent": latent}
        if follows:
            find_estimator(estimator, flag=f"--latent {before}:estimator")
            own["estimator"] = estimator
        for word in words:
            option, _, value = word.partition("=")
            option = option.replace("-", "_")
            if option not in types:
                raise InputError(
                    f"options of --latent must be those of train, but got {word} in {name.strip()}"
                )
            own[option] = value or (True if types.get(option) is bool else value)
        entry = Entry(name.strip(), Config.from_plain(config.plain() | own))
        Latent.from_config(entry.config)
        chosen_estimator(entry.config)
        if entry.name in found:
            raise InputError(f"--latent must name each latent once, but got {entry.name} twice")
        found[entry.name] = entry
    return list(found.values())


def compare(
    config: Config,
    *,
    seeds: int = 1,
    importance_samples: int = IMPORTANCE_SAMPLES,
    overwrite: bool = False,
    resume: bool = False,
    quiet: bool = False,
) -> list[Row]:
    """Trains every latent in `config.latent` with each seed.

    Writes to `config.output`, by default `runs/compare`: a folder for each run, `compare.csv` (all
    runs), `compare.md` (the table), `compare.json` (all runs, and where they come from) and
    `compare.png`. With `resume` finished runs are kept.

    Returns:
        A row of figures for each run.

    Raises:
        InputError: an option is unusable, or the folder of a run exists. Then nothing is changed.
            With `overwrite` or `resume` the folder may exist.
    """
    folder = config.output or Path("runs", "compare")
    planned = [
        (entry, replace(entry.config, seed=seed, output=folder / _folder(entry.name, seed)))
        for entry in entries(config)
        for seed in range(config.seed, config.seed + seeds)
    ]
    for _, one in planned:
        if one.folder.exists() and not (overwrite or resume) and is_first_process():
            raise InputError(
                f"--output must have no earlier runs unless --overwrite or --resume, "
                f"but {one.folder} exists"
            )
    rows: list[Row] = []
    for number, (entry, one) in enumerate(planned, start=1):
        if not quiet and is_first_process():
            print(f"{number}/{len(planned)}: {entry.name}, seed {one.seed}", flush=True)
        run = train(
            one,
            overwrite=overwrite,
            resume=resume and (one.folder / "config.json").exists(),
            quiet=quiet,
            importance_samples=importance_samples,
        )
        rows.append(_row(entry, one, run))
        if is_first_process():
            _write(folder, config, rows)
    return rows


def table(rows: Iterable[Row]) -> str:
    """Returns the means over seeds as Markdown, with standard deviations for several seeds."""
    lines = ["| latent | code | " + " | ".join(COLUMNS.values()) + " |"]
    lines.append("| --- " * 2 + "| ---: " * len(COLUMNS) + "|")
    for name, runs in _by_latent(rows).items():
        cells = [_cell([run[column] for run in runs]) for column in COLUMNS]
        lines.append(f"| {name} | {runs[0]['code']} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def _row(entry: Entry, config: Config, run: Run) -> Row:
    return {
        "latent": entry.name,
        "seed": config.seed,
        **asdict(run.evaluation),
        "seconds_per_epoch": run.seconds_per_epoch,
        "seconds": run.seconds,
        "elbo_by_epoch": [round(elbo, 3) for elbo in run.elbo_by_epoch],
    }


def _folder(name: str, seed: int) -> str:
    return f"{name.replace(':', '_')}-seed-{seed}"


def _by_latent(rows: Iterable[Row]) -> dict[str, list[Row]]:
    grouped: dict[str, list[Row]] = {}
    for row in rows:
        grouped.setdefault(row["latent"], []).append(row)
    return grouped


def _cell(values: Sequence[float | None]) -> str:
    known = [value for value in values if value is not None]
    if not known:
        return "none"
    digits = 0 if all(isinstance(value, int) for value in known) else 2
    spread = f" ± {stdev(known):.2f}" if len(known) > 1 else ""
    return f"{mean(known):.{digits}f}{spread}"


def summary(rows: Iterable[Row], column: str) -> Mapping[str, tuple[float, float]]:
    """Returns mean and standard deviation over seeds, for each latent that has this figure."""
    found = {}
    for name, runs in _by_latent(rows).items():
        known = [run[column] for run in runs if run[column] is not None]
        if known:
            found[name] = (mean(known), stdev(known) if len(known) > 1 else math.nan)
    return found


def _write(folder: Path, config: Config, rows: list[Row]) -> None:
    file = io.StringIO()
    names = [name for name in rows[0] if not isinstance(rows[0][name], list)]
    writer = csv.DictWriter(file, names, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(folder / "compare.csv", file.getvalue())
    write_text(folder / "compare.md", table(rows))
    options = {
        declared.name: value
        for declared in fields(Config)
        if (value := config.plain()[declared.name]) != declared.default
        if declared.name not in ("data_dir", "output")
    }
    results = {"about": provenance(), "options": options, "rows": rows}
    write_text(folder / "compare.json", json.dumps(results, indent=1) + "\n")
    figures.save_comparison(
        folder / "compare.png",
        {
            "bound, nats per image": summary(rows, "bound"),
            "relaxed bound - bound": summary(rows, "gap"),
            "seconds per epoch": summary(rows, "seconds_per_epoch"),
        },
    )
