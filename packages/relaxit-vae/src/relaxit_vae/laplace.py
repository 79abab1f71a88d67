"""Draws the Laplace bridge: a Dirichlet, its logistic-normal, and the Dirichlet that returns."""

from dataclasses import dataclass
from pathlib import Path

import torch
from torch.distributions import Dirichlet, kl_divergence

from relaxit_torch import laplace_bridge
from relaxit_vae import figures
from relaxit_vae.errors import InputError
from relaxit_vae.seeds import drawn_from


@dataclass(frozen=True)
class Bridge:
    """A Dirichlet with three categories that went over the bridge and back."""

    concentration: tuple[float, ...]
    returned: tuple[float, ...]
    """The concentration of the Dirichlet that returns."""
    kl: float
    """The divergence of the Dirichlet from its logistic-normal, in nats."""
    error: float
    """The largest relative difference between `concentration` and `returned`."""


def bridge(path: Path, *, concentration: tuple[float, ...] | None = None, seed: int = 0) -> Bridge:
    """Draws the three densities on the simplex, and returns how well the concentration returns.

    Args:
        path: of the picture.
        concentration: three numbers. Default: random, log-uniform between 1/2 and 20.
        seed: of the random concentration.

    Raises:
        InputError: the concentration does not have three positive numbers.
    """
    if concentration is None:
        with drawn_from("bridge", seed):
            alpha = 0.5 * 40 ** torch.rand(3, dtype=torch.float64)
    else:
        alpha = torch.tensor(concentration, dtype=torch.float64)
    if alpha.shape != (3,) or not (alpha > 0).all() or not alpha.isfinite().all():
        raise InputError(
            f"--concentration must be three positive numbers such as 2,3,5, but got {concentration}"
        )
    dirichlet = Dirichlet(alpha)
    logistic_normal = laplace_bridge.to_logistic_normal(dirichlet)
    back = laplace_bridge.to_dirichlet(logistic_normal)
    found = Bridge(
        tuple(alpha.tolist()),
        tuple(back.concentration.tolist()),
        kl_divergence(dirichlet, logistic_normal).item(),
        ((back.concentration - alpha).abs() / alpha).max().item(),
    )

    def words(concentration: tuple[float, ...]) -> str:
        return f"Dirichlet({', '.join(f'{value:.3g}' for value in concentration)})"

    figures.save_simplices(
        path,
        {
            words(found.concentration): dirichlet,
            f"its logistic-normal, KL {found.kl:.3g} nats": logistic_normal,
            f"back: {words(found.returned)}": back,
        },
    )
    return found
