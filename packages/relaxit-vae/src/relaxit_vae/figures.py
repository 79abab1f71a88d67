"""Pictures of a run: grids of digits by torchvision, curves by matplotlib."""

import csv
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torchvision.utils import make_grid, save_image  # type: ignore[import-untyped]

SCALE = 3
"""Screen pixels per image pixel."""


def save_grid(path: Path, images: Tensor, *, columns: int = 10) -> None:
    """Write `images`, `(n, 784)` grey levels, as a PNG with so many in a row."""
    grid = make_grid(images.view(-1, 1, 28, 28), nrow=columns, padding=1, pad_value=0.5)
    enlarged = grid.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)
    save_image(enlarged, path)


def save_pairs(
    path: Path, originals: Tensor, reconstructions: Tensor, *, columns: int = 10
) -> None:
    """Write each row of originals with the row of their reconstructions below it."""
    rows = [images.view(-1, columns, 28 * 28) for images in (originals, reconstructions)]
    save_grid(path, torch.stack(rows, dim=1).flatten(end_dim=2), columns=columns)


def save_loss(path: Path, metrics: Path) -> None:
    """Write the curves in a run's metrics: what was minimised, and the discrete model's bound."""
    curves = {
        "train/elbo": "training objective, relaxed code",
        "test/elbo": "test -ELBO, discrete code",
    }
    with metrics.open() as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(6, 4), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    for column, label in curves.items():
        points = [(int(row["epoch"]) + 1, -float(row[column])) for row in rows if row.get(column)]
        axes.plot(*zip(*points, strict=True), marker=".", label=label)
    axes.set(xlabel="epoch", ylabel="nats per image")
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path)
