"""Reports on gradient estimators: numbers that are known, counts, tables and pictures."""

from __future__ import annotations

import csv
import dataclasses
import inspect
import io
import json
import math
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent, OneHotCategorical

from relaxit_torch import estimators
from relaxit_torch.diagnostics import GradientReport, GradientRow, gradient_report
from relaxit_torch.estimators import (
    arm,
    decoupled_straight_through,
    exact,
    gumbel_rao,
    gumbel_softmax,
    rebar,
    reinmax,
    score_function,
    straight_through,
    unordered_set,
)

PAGE = Path(__file__).parents[3] / "docs" / "api" / "estimators.md"
ESTIMATORS = {name: f for name, f in vars(estimators).items() if inspect.isfunction(f)}

LOGITS = torch.tensor([[0.5, -0.3, 0.1], [1.0, 0.0, -1.0]], dtype=torch.float64)
WEIGHTS = torch.tensor([1.0, -1.0, 2.0], dtype=torch.float64)
CATEGORIES = OneHotCategorical(logits=LOGITS)


def f(value: Tensor) -> Tensor:
    return (value @ WEIGHTS) ** 2


def moments_of_score_function() -> tuple[Tensor, float]:
    """The gradient and the variance of one draw, by enumeration."""
    probs = LOGITS.softmax(-1)
    states = torch.eye(3, dtype=torch.float64)
    estimates = f(states)[:, None, None] * (states[:, None] - probs)  # (states, batch, K)
    mean = (probs.T.unsqueeze(-1) * estimates).sum(0)
    second = (probs.T.unsqueeze(-1) * estimates.square()).sum(0)
    return mean, (second - mean.square()).sum().item()


def test_the_row_of_an_estimator_whose_moments_are_known() -> None:
    gradient, variance = moments_of_score_function()
    (row,) = gradient_report([score_function], CATEGORIES, f, samples=40_000).rows
    assert row.estimator == "score_function"
    assert row.temperature is None
    # 5 standard errors: the alarm rate is 10^-6.
    assert abs(row.bias_squared) <= 5 * row.bias_squared_stderr
    # The relative error of a variance is about sqrt(2 / 40000) per effective dimension, 0.7%.
    assert row.variance == pytest.approx(variance, rel=0.05)
    assert row.mean_squared_error == pytest.approx(row.bias_squared + row.variance, rel=1e-10)
    error = variance / 40_000 / gradient.square().sum().item()
    assert 1 - 20 * error < row.cosine_of_mean <= 1
    assert row.evaluations == 1
    assert row.seconds > 0


def test_the_row_of_a_biased_estimator() -> None:
    probs, states = LOGITS.softmax(-1), torch.eye(3, dtype=torch.float64)
    jacobian = torch.diag_embed(probs) - probs.unsqueeze(-1) * probs.unsqueeze(-2)
    slopes = 2 * (states @ WEIGHTS)[:, None] * WEIGHTS  # (states, K)
    estimates = torch.einsum("bij,sj->sbi", jacobian, slopes)
    mean = (probs.T.unsqueeze(-1) * estimates).sum(0)
    gradient, _ = moments_of_score_function()
    (row,) = gradient_report([straight_through], CATEGORIES, f, samples=40_000).rows
    expected = (mean - gradient).square().sum().item()
    assert expected > 10 * row.bias_squared_stderr, "the test would see no bias"
    assert abs(row.bias_squared - expected) <= 5 * row.bias_squared_stderr
    cosine = torch.cosine_similarity(mean.flatten(), gradient.flatten(), 0).item()
    assert row.cosine_of_mean == pytest.approx(cosine, abs=0.02)
    # Both batch elements together, in every pair of states.
    pairs = torch.stack(
        [estimates[:, None, 0].expand(3, 3, 3), estimates[None, :, 1].expand(3, 3, 3)], -2
    )
    cosines = torch.cosine_similarity(pairs.flatten(2), gradient.flatten().expand(3, 3, -1), -1)
    mean_cosine = (probs[0] @ cosines @ probs[1]).item()
    # A cosine deviates by at most 1, the mean of 40,000 by at most 0.005; five times that.
    assert row.mean_cosine == pytest.approx(mean_cosine, abs=0.025)


@pytest.mark.parametrize("rescale", [False, True], ids=["plain", "rescaled"])
def test_the_noise_of_the_mean_is_no_bias(rescale: bool) -> None:
    report = partial(gradient_report, [score_function], CATEGORIES, f, rescale=rescale, samples=500)
    rows = [report().rows[0] for _ in range(500)]
    biases = torch.tensor([row.bias_squared for row in rows])
    stderr = biases.std() / len(rows) ** 0.5
    # Unbiased up to the curvature of the scale, with the alarm rate 10^-6. Without the subtraction
    # of the noise the test fails.
    assert biases.mean().abs() <= 5 * stderr
    assert moments_of_score_function()[1] / 500 > 10 * stderr


def test_the_standard_error_is_the_spread_of_many_reports() -> None:
    report = partial(gradient_report, [straight_through], CATEGORIES, f, samples=200)
    rows = [report().rows[0] for _ in range(400)]
    biases = torch.tensor([row.bias_squared for row in rows])
    stderrs = torch.tensor([row.bias_squared_stderr for row in rows])
    # 400 of them: their spread is known to 1 / sqrt(800), 4%; allowed are five of these.
    assert stderrs.mean() == pytest.approx(biases.std().item(), rel=0.2)


def test_the_exact_gradient_has_no_bias_and_no_variance() -> None:
    (row,) = gradient_report([exact], CATEGORIES, f, samples=10).rows
    assert abs(row.bias_squared) < 1e-24
    assert row.variance < 1e-24
    assert row.cosine_of_mean == pytest.approx(1)
    assert row.mean_cosine == pytest.approx(1)


def test_evaluations_of_f_are_counted_per_draw_and_batch_element() -> None:
    bits = Independent(Bernoulli(logits=torch.zeros(2, 3, dtype=torch.float64)), 1)
    options: dict[str, tuple[Callable[..., Tensor], int]] = {
        "arm": (arm, 2),
        "rebar": (rebar, 2),
        "score_function": (partial(score_function, samples=7), 7),
        "gumbel_rao": (partial(gumbel_rao, samples=50), 1),
        "unordered_set": (partial(unordered_set, k=3), 3),
        "exact": (exact, 8),
    }
    report = gradient_report(
        {name: estimator for name, (estimator, _) in options.items()},
        bits,
        lambda b: (b - 0.4).square().sum(-1),
        samples=10,
    )
    assert {row.estimator: row.evaluations for row in report.rows} == {
        name: count for name, (_, count) in options.items()
    }


def test_a_row_for_each_temperature_of_estimators_that_have_one() -> None:
    report = gradient_report(
        [
            score_function,
            gumbel_softmax,
            partial(reinmax, temperature=3.0),
            partial(decoupled_straight_through, forward_temperature=0.5),
        ],
        CATEGORIES,
        f,
        samples=10,
        temperatures=[0.5, 1.0],
    )
    assert [(row.estimator, row.temperature) for row in report.rows] == [
        ("score_function", None),
        ("gumbel_softmax", 0.5),
        ("gumbel_softmax", 1.0),
        ("reinmax", 3.0),
        ("decoupled_straight_through(forward_temperature=0.5)", 0.5),
        ("decoupled_straight_through(forward_temperature=0.5)", 1.0),
    ]


def test_without_temperatures_an_estimator_has_its_own() -> None:
    report = gradient_report([rebar, gumbel_softmax], CATEGORIES, f, samples=10)
    assert [row.temperature for row in report.rows] == [0.5, 1.0]


def test_a_row_names_the_temperature_of_its_draws() -> None:
    report = gradient_report(
        [gumbel_softmax], CATEGORIES, f, samples=20_000, temperatures=[0.2, 5.0]
    )
    cold, hot = report.rows
    assert cold.variance > 5 * hot.variance
    assert cold.bias_squared < hot.bias_squared


def test_rescaling_compares_directions() -> None:
    def tenth(distribution, f) -> Tensor:
        return exact(distribution, f) / 10

    plain = gradient_report([tenth], CATEGORIES, f, samples=2).rows[0]
    rescaled = gradient_report([tenth], CATEGORIES, f, samples=2, rescale=True).rows[0]
    gradient, _ = moments_of_score_function()
    assert plain.bias_squared == pytest.approx(0.81 * gradient.square().sum().item())
    assert rescaled.bias_squared == pytest.approx(0, abs=1e-12)


def test_chunks_change_nothing_but_the_draws() -> None:
    sizes = []

    def counted(value: Tensor) -> Tensor:
        sizes.append(value.shape[0])
        return f(value)

    (row,) = gradient_report(
        [straight_through], CATEGORIES, counted, samples=25, chunk_size=10
    ).rows
    assert sizes[1:] == [10, 10, 5]
    assert row.evaluations == 1


def test_an_exact_gradient_may_be_given() -> None:
    gradient, _ = moments_of_score_function()
    calls = []

    def counted(value: Tensor) -> Tensor:
        calls.append(value)
        return f(value)

    gradient_report([straight_through], CATEGORIES, counted, samples=10, exact_gradient=gradient)
    assert len(calls) == 1, "f is not enumerated"
    with pytest.raises(ValueError, match=r"shape of the logits, \(2, 3\), but got \(3, 2\)"):
        gradient_report([straight_through], CATEGORIES, f, exact_gradient=gradient.mT)


def test_neither_logits_nor_parameters_of_f_collect_gradients() -> None:
    logits, scale = LOGITS.clone().requires_grad_(), torch.ones((), requires_grad=True)
    gradient_report(
        [straight_through, rebar],
        OneHotCategorical(logits=logits),
        lambda z: scale * f(z),
        samples=10,
    )
    assert logits.grad is None
    assert scale.grad is None


ROWS = (
    GradientRow("a, b", None, 0.125, 0.01, 2.0, 2.125, 0.5, 0.25, 1.0, 1e-6),
    GradientRow("c", 0.5, -1e-9, 1e-6, 1 / 3, 1 / 3, 1.0, 0.5, 2.0, 2e-6),
    GradientRow("c", 1.0, 0.5, 1e-3, 0.25, 0.75, 1.0, 0.5, 2.0, 2e-6),
    GradientRow("exact", None, 0.0, 0.0, 0.0, 0.0, 1.0, 1.0, 8.0, 1e-6),
)
REPORT = GradientReport(ROWS, samples=100)


def test_the_table_prints_aligned() -> None:
    lines = str(REPORT).splitlines()
    assert lines[0].split() == [field.name for field in dataclasses.fields(GradientRow)]
    assert lines[1].startswith("a, b ")
    assert lines[1].split()[2:5] == ["-", "0.125", "0.01"]
    assert len({len(line) for line in lines}) == 1


def test_csv_keeps_all_digits(tmp_path) -> None:
    text = REPORT.to_csv(tmp_path / "report.csv")
    assert (tmp_path / "report.csv").read_text() == text == REPORT.to_csv()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["estimator"] for row in rows] == ["a, b", "c", "c", "exact"]
    assert [row["temperature"] for row in rows] == ["", "0.5", "1.0", ""]
    assert float(rows[1]["variance"]) == 1 / 3


def test_the_plane_has_a_curve_per_estimator(tmp_path) -> None:
    pytest.importorskip("matplotlib")
    path = tmp_path / "plane.png"
    figure = REPORT.plot(path)
    assert path.read_bytes().startswith(b"\x89PNG")
    (axes,) = figure.axes
    assert axes.get_xscale() == axes.get_yscale() == "log"
    lines = [np.asarray(line.get_xydata()).tolist() for line in axes.lines]
    curves = [points for points in lines if points]
    # In the order of the temperatures. An estimator without variance is not on the plane.
    assert curves[0] == [[0.125, 2.0]]
    (x, y), seen = curves[1]
    assert seen == [0.5, 0.25]
    assert y == 1 / 3
    assert x < 0.5 * 0.125, "aside, where no bias was found"
    legend = axes.get_legend()
    assert legend is not None
    assert [text.get_text() for text in legend.get_texts()] == ["a, b", "c"]


def test_without_matplotlib_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ModuleNotFoundError, match=r"relaxit-torch\[plot\]"):
        REPORT.plot()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"samples": 1}, "samples must be an integer of at least 2, but got 1"),
        ({"samples": 2.5}, "samples must be an integer of at least 1, but got 2.5"),
        ({"chunk_size": 0}, "chunk_size must be an integer of at least 1, but got 0"),
        (
            {"estimators": [straight_through, straight_through]},
            "estimators must have different names, or be a mapping that gives them, "
            r"but got \['straight_through', 'straight_through'\]",
        ),
    ],
)
def test_errors_say_what_must_hold(options: dict, message: str) -> None:
    arguments = {"estimators": [straight_through], "samples": 10, **options}
    with pytest.raises(ValueError, match=message):
        gradient_report(distribution=CATEGORIES, f=f, **arguments)


def test_a_draw_that_is_zero_has_no_direction() -> None:
    def nothing(distribution, f) -> Tensor:
        return exact(distribution, f) * 0

    (row,) = gradient_report([nothing], CATEGORIES, f, samples=10).rows
    assert row.mean_cosine == 0
    assert math.isfinite(row.bias_squared)


# The page of the site.


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no site")
@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_page_says_of_each_estimator_what_its_docstring_says(name: str) -> None:
    (line,) = re.findall(rf"^\| \[`{name}`\].*$", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    biased, evaluations, differentiable = (cell.strip() for cell in line.split("|")[2:5])
    documentation = re.sub(r"\s+", " ", ESTIMATORS[name].__doc__ or "")
    assert biased == ("no" if "Unbiased" in documentation else "yes")
    assert ("Biased" in documentation) == (biased == "yes")
    needs = "need not be differentiable" not in documentation
    assert differentiable.startswith("yes" if needs else "no")
    bits = Independent(Bernoulli(logits=torch.zeros(3, dtype=torch.float64)), 1)
    report = gradient_report([ESTIMATORS[name]], bits, lambda b: (b - 0.4).square().sum(-1))
    expected = {"all states": 8}.get(evaluations) or int(re.findall(r"\d", evaluations)[0])
    assert report.rows[0].evaluations == expected
    assert f"\n::: relaxit_torch.estimators.{name}\n" in PAGE.read_text(encoding="utf-8")


@pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no site")
def test_the_picture_is_drawn_from_committed_results_of_every_estimator() -> None:
    found = json.loads((PAGE.parents[1] / "results" / "estimators.json").read_text())
    assert {"command", "seed", "versions"} <= set(found["about"])
    rows = [GradientRow(**row) for row in found["problems"]["bits"]["rows"]]
    measured = {re.findall(r"\w+", row.estimator)[0] for row in rows}
    assert measured == set(ESTIMATORS)
    assert (PAGE.parents[1] / "images" / "bias-variance.png").exists()


class Nothing(torch.nn.Module):
    def forward(self, distribution, f):
        return f(distribution.sample()) + 0 * distribution.logits.sum(-1)


def test_any_callable_is_an_estimator_and_a_mean_of_0_stays_0() -> None:
    distribution = OneHotCategorical(logits=torch.zeros(3))
    (row,) = gradient_report(
        [Nothing()], distribution, lambda z: z @ torch.arange(3.0), samples=5, rescale=True
    ).rows
    assert row.estimator == "Nothing"
    assert (row.variance, row.cosine_of_mean) == (0, 0)
    assert row.bias_squared > 0
    with pytest.raises(
        ValueError, match="temperatures must be None or have an entry, but got none"
    ):
        gradient_report([Nothing()], distribution, lambda z: z[..., 0], samples=5, temperatures=[])
