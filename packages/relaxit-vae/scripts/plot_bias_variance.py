r"""Measures all gradient estimators on two problems and draws the bias-variance plane.

    cd packages/relaxit-vae
    python scripts/plot_bias_variance.py ../../docs/results/estimators.json \
        ../../docs/images/bias-variance.png

measures and draws. With `--draw-only` it draws results that exist.

The first problem has one variable of four categories and a quadratic function: the benchmark of
Hooper and Shekhovtsov (2026), seed 0. The second has six bits and a function that is not quadratic
and couples all bits. Each estimator is rescaled so that its mean has the exact gradient's norm.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from relaxit_torch import estimators
from relaxit_torch.diagnostics import GradientReport, GradientRow, gradient_report
from relaxit_vae.provenance import provenance

TEMPERATURES = (0.2, 0.5, 1.0, 2.0, 5.0)
TITLES = {"categories": "one variable of four categories", "bits": "six bits"}
SEED = 0

Problem = tuple[Distribution, Callable[[Tensor], Tensor]]
Estimators = dict[str, Callable[..., Tensor]]


def categories() -> Problem:
    """Returns the published benchmark: drawn in float32, then cast to float64."""
    torch.manual_seed(SEED)
    root, linear, logits = torch.randn(4, 4), torch.randn(4), torch.randn(4)
    matrix, linear, logits = root.double().T @ root.double(), linear.double(), logits.double()

    def quadratic(z: Tensor) -> Tensor:
        return ((z @ matrix) * z).sum(-1) + z @ linear

    return OneHotCategorical(logits=logits), quadratic


def bits() -> Problem:
    """Returns six bits, and the logarithm of a sum of exponentials of eight linear functions."""
    torch.manual_seed(SEED)
    weights, logits = 2 * torch.randn(8, 6).double(), torch.randn(6).double()
    return Independent(Bernoulli(logits=logits), 1), lambda b: (b @ weights.T).logsumexp(-1)


class Critic(nn.Module):
    """A control variate with one hidden layer."""

    def __init__(self, entries: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(entries, 16), nn.Tanh(), nn.Linear(16, 1)).double()

    def forward(self, scores: Tensor) -> Tensor:
        found: Tensor = self.layers(scores).squeeze(-1)
        return found


def trained_relax(
    problem: Problem, make: Callable[[Tensor], Distribution], logits: Tensor
) -> Callable[..., Tensor]:
    """Returns RELAX after 1,000 steps that minimise its own variance, with 100 draws each."""
    critic = Critic(len(logits))
    log_temperature = torch.zeros((), dtype=torch.float64, requires_grad=True)
    scale = torch.ones((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([*critic.parameters(), log_temperature, scale], lr=0.01)
    for _ in range(1000):
        draws = logits.expand(100, -1).clone().requires_grad_()
        value = estimators.relax(
            make(draws),
            problem[1],
            control_variate=critic,
            temperature=log_temperature.exp(),
            scale=scale,
        )
        optimiser.zero_grad()
        value.mean().backward()
        optimiser.step()
    return partial(
        estimators.relax,
        control_variate=critic.requires_grad_(False),
        temperature=log_temperature.exp().item(),
        scale=scale.item(),
    )


def measure(name: str, samples: int) -> GradientReport:
    """Measures all estimators that apply, with `samples` draws of each."""
    problem = categories() if name == "categories" else bits()
    distribution, f = problem
    antithetic: Estimators = {}
    if isinstance(distribution, OneHotCategorical):
        logits = distribution.logits
        relax = trained_relax(problem, lambda draws: OneHotCategorical(logits=draws), logits)
    else:
        assert isinstance(distribution, Independent)
        logits = distribution.base_dist.logits
        antithetic = {"arm": estimators.arm, "disarm": estimators.disarm}
        relax = trained_relax(
            problem, lambda draws: Independent(Bernoulli(logits=draws), 1), logits
        )
    leave_one_out = partial(estimators.score_function, samples=4, baseline="leave_one_out")
    measured: Estimators = {
        "straight_through": estimators.straight_through,
        "decoupled_straight_through": estimators.decoupled_straight_through,
        "reinmax": estimators.reinmax,
        "gumbel_softmax": estimators.gumbel_softmax,
        "gumbel_softmax_straight_through": estimators.gumbel_softmax_straight_through,
        "gumbel_rao, 100 samples": partial(estimators.gumbel_rao, samples=100),
        "score_function": estimators.score_function,
        "score_function, leave-one-out of 4": leave_one_out,
        "unordered_set of 2": estimators.unordered_set,
        "rebar": estimators.rebar,
        "relax, trained": relax,
        "exact": estimators.exact,
        **antithetic,
    }
    return gradient_report(
        measured,
        distribution,
        f,
        samples=samples,
        temperatures=TEMPERATURES,
        rescale=True,
        chunk_size=10_000,
    )


def draw(results: Path, picture: Path) -> None:
    """Draws results, with a panel for each problem."""
    problems = json.loads(results.read_text(encoding="utf-8"))["problems"]
    figure = Figure(figsize=(9, 9), dpi=130, layout="constrained")
    for axes, (name, found) in zip(
        figure.subplots(len(problems), 1), problems.items(), strict=True
    ):
        rows = tuple(GradientRow(**row) for row in found["rows"])
        GradientReport(rows, found["samples"]).plot(axes=axes)
        axes.set_title(TITLES[name])
    figure.savefig(picture)


def main() -> None:
    """Measures, writes and draws."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=100_000, help="draws of each estimator")
    parser.add_argument("results", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--draw-only", action="store_true", help="from results that exist")
    options = parser.parse_args()
    if not options.draw_only:
        problems = {}
        for name in TITLES:
            report = measure(name, options.samples)
            print(f"{TITLES[name]}\n{report}\n", flush=True)
            rows = [dataclasses.asdict(row) for row in report.rows]
            problems[name] = {"samples": report.samples, "rows": rows}
        about = provenance() | {"seed": SEED}
        text = json.dumps({"about": about, "problems": problems}, indent=1) + "\n"
        options.results.write_text(text, encoding="utf-8")
    draw(options.results, options.picture)


if __name__ == "__main__":
    main()
