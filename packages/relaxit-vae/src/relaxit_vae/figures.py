"""Pictures of a run: grids of digits by torchvision, curves by matplotlib."""

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import torch
from matplotlib.figure import Figure
from matplotlib.image import imread
from matplotlib.ticker import MaxNLocator
from torch import Tensor
from torch.distributions import Distribution
from torch.utils.tensorboard import SummaryWriter
from torchvision.utils import make_grid, save_image

SCALE = 3
"""Screen pixels per image pixel."""


def save_grid(path: Path, images: Tensor, *, columns: int = 10) -> None:
    """Writes `images`, `(n, 784)` grey levels, as a PNG with `columns` images in a row."""
    grid = make_grid(images.view(-1, 1, 28, 28), nrow=columns, padding=1, pad_value=0.5)
    enlarged = grid.repeat_interleave(SCALE, dim=-1).repeat_interleave(SCALE, dim=-2)
    save_image(enlarged, path)


def save_pairs(
    path: Path, originals: Tensor, reconstructions: Tensor, *, columns: int = 10
) -> None:
    """Writes each row of originals with the row of their reconstructions below it."""
    rows = [images.view(-1, columns, 28 * 28) for images in (originals, reconstructions)]
    save_grid(path, torch.stack(rows, dim=1).flatten(end_dim=2), columns=columns)


def save_effects(path: Path, effects: Tensor) -> None:
    """Writes what each latent variable changes, a row for each.

    A bit has a column for each digit, which shows where 1 instead of 0 darkens (blue) or brightens
    (red) the digit. A categorical variable has a column for each category of one digit.

    Args:
        path: of the picture.
        effects: pixel means `(variables, values, digits, 784)`.
    """
    variables, values, digits = effects.shape[:3]
    if values == 2:
        change = (effects[:, 1] - effects[:, 0]).flatten(end_dim=1).view(-1, 1, 28, 28)
        white = torch.ones_like(change)
        up, down = change.clamp(min=0), (-change).clamp(min=0)
        tiles = torch.cat([white - down, white - up - down, white - up], dim=1)
        columns, label = digits, "test digit"
    else:
        tiles = effects[:, :, digits // 2].flatten(end_dim=1).view(-1, 1, 28, 28)
        columns, label = values, "category"
    grid = make_grid(tiles, nrow=columns, padding=1, pad_value=0.5)
    figure = Figure(figsize=(0.4 * columns + 1, 0.4 * variables + 1), dpi=150, layout="constrained")
    axes = figure.add_subplot()
    axes.imshow(grid.permute(1, 2, 0).numpy())
    axes.set_xticks([29 * i + 15 for i in range(columns)], [str(i) for i in range(columns)])
    axes.set_yticks([29 * i + 15 for i in range(variables)], [str(i) for i in range(variables)])
    axes.set(xlabel=label, ylabel="latent variable")
    axes.tick_params(length=0, labelsize=7)
    figure.savefig(path)


def save_curves(path: Path, rows: Sequence[Mapping[str, float | None]]) -> None:
    """Writes the curves of a run: the loss, its divergence and the temperature by epoch."""
    panels = [
        ("nats per image", {"train/elbo": "training, - objective", "test/elbo": "test, - ELBO"}),
        ("KL in nats per image", {"train/kl": "training", "test/kl": "test"}),
        ("temperature", {"temperature": ""}),
    ]
    panels = [
        (label, curves) for label, curves in panels if any(name in rows[0] for name in curves)
    ]
    figure = Figure(figsize=(4.5 * len(panels), 3.5), dpi=100, layout="constrained")
    epochs = [int(row["epoch"] or 0) for row in rows]
    for axes, (label, curves) in zip(figure.subplots(1, len(panels)), panels, strict=True):
        for name, legend in curves.items():
            sign = -1 if name.endswith("elbo") else 1
            axes.plot(epochs, [sign * float(row[name] or 0) for row in rows], ".-", label=legend)
        axes.set(xlabel="epoch", ylabel=label)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        if len(curves) > 1:
            axes.legend()
    figure.savefig(path)


def show_in_tensorboard(folder: Path, pictures: Iterable[Path]) -> None:
    """Adds pictures to the logs of a run."""
    with SummaryWriter(str(folder)) as writer:
        for path in pictures:
            writer.add_image(path.stem, imread(path)[..., :3], dataformats="HWC")


def save_comparison(path: Path, panels: Mapping[str, Mapping[str, tuple[float, float]]]) -> None:
    """Writes a panel for each figure: its means by latent, with standard deviations."""
    names = list(dict.fromkeys(name for bars in panels.values() for name in bars))
    height = 1.2 + 0.35 * len(names)
    figure = Figure(figsize=(4.5 * len(panels), height), dpi=100, layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for ax, (title, bars) in zip(axes, panels.items(), strict=True):
        means = [bars[name][0] if name in bars else math.nan for name in names]
        spreads = [bars[name][1] if name in bars else math.nan for name in names]
        known = [value for value in means if not math.isnan(value)]
        ax.errorbar(means, names, xerr=spreads, fmt="o", capsize=3)
        if known and min(known) < -20 and max(known) > -1:  # some gaps are nearly 0, others wide
            ax.set_xscale("symlog", linthresh=1)
        ax.set(title=title)
        ax.grid(alpha=0.3, axis="x")
    axes[0].invert_yaxis()
    figure.savefig(path)


def save_simplices(
    path: Path, distributions: Mapping[str, Distribution], *, steps: int = 120
) -> None:
    """Writes densities on the simplex of three categories, a panel for each distribution."""
    inner = [
        (i / steps, j / steps, (steps - i - j) / steps)
        for i in range(1, steps)
        for j in range(1, steps - i)
    ]
    points = torch.tensor(inner, dtype=torch.float64)  # (points, 3), none on the edge
    corners = torch.tensor([[0, 0], [1, 0], [0.5, math.sqrt(0.75)]], dtype=torch.float64)
    x, y = (points @ corners).T.numpy()
    densities = {title: d.log_prob(points).exp() for title, d in distributions.items()}
    # One scale for all. A density that is unbounded at the edge must not hide the others.
    top = max(density.quantile(0.995).item() for density in densities.values())
    figure = Figure(figsize=(4.2 * len(distributions), 4), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(distributions), squeeze=False)[0]
    for axes, (title, density) in zip(panels, densities.items(), strict=True):
        levels = torch.linspace(0, top, 25).tolist()
        shown = axes.tricontourf(
            x, y, density.clamp(max=top).numpy(), levels=levels, extend="max", cmap="viridis"
        )
        axes.plot(*corners[[0, 1, 2, 0]].T.numpy(), color="black", linewidth=0.8)
        for (across, up), name in zip(corners.tolist(), ("1", "2", "3"), strict=True):
            offset = (0, 5 if up else -14)
            axes.annotate(
                name, (across, up), textcoords="offset points", xytext=offset, ha="center"
            )
        axes.set_title(title, fontsize=10)
        axes.set_aspect("equal")
        axes.axis("off")
    figure.colorbar(shown, ax=panels, shrink=0.7, label="density")
    figure.savefig(path)
