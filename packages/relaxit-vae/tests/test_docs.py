"""Compares the tables and figures of the site with the committed results."""

import json
import re
from pathlib import Path
from statistics import mean, median

import pytest

from relaxit_vae.comparison import table

DOCS = Path(__file__).parents[3] / "docs"
PAGE = DOCS / "api" / "relaxit_vae.md"
RESULTS = sorted((DOCS / "results").glob("*.json"))

pytestmark = pytest.mark.skipif(not PAGE.exists(), reason="an installed package has no site")


def load(name):
    return json.loads((DOCS / "results" / name).read_text())


def test_every_table_agrees_with_its_results():
    page = PAGE.read_text()
    shown = re.findall(r"<!-- (vae-[\w-]+\.json) -->\n\n((?:\|.*\n)+)", page)
    assert shown
    for name, lines in shown:
        assert lines == table(load(name)["rows"]), name


def test_the_figures_of_protocol_a_agree_with_its_results():
    rows = load("vae-protocol-a.json")["rows"]
    assert len(rows) == 3
    after = [-mean(row["elbo_by_epoch"][epoch - 1] for row in rows) for epoch in (10, 20)]
    assert f"{after[0]:.1f} nats after 10 epochs and {after[1]:.1f} after 20" in PAGE.read_text()


def test_the_cosines_inside_a_model_agree_with_its_results():
    cosines = load("vae-gradients.json")["mean_cosine_of_mean"]
    page = " ".join(PAGE.read_text().split())
    assert (
        f"a cosine of {cosines['reinmax']:.2f} for ReinMax, "
        f"{cosines['straight-through']:.2f} for straight-through, "
        f"{cosines['gumbel-softmax-straight-through']:.2f} for straight-through Gumbel-Softmax "
        f"and {cosines['gumbel-rao:samples=100']:.2f} for Gumbel-Rao with 100 draws"
    ) in page


def test_the_differences_from_enumeration_agree_with_its_results():
    latents = load("vae-enumeration.json")["latents"]
    found = {name: row["difference"] for name, row in latents.items()}
    page = " ".join(PAGE.read_text().split())
    assert (
        f"differs from it by {found['straight-through-bernoulli']:.4f} nats for a "
        f"`straight-through-bernoulli` model, {found['binary-concrete']:.4f} for "
        f"`binary-concrete`, {found['binary-concrete:hard']:.4f} for `binary-concrete --hard` "
        f"and {found['correlated-relaxed-bernoulli']:.4f} for `correlated-relaxed-bernoulli`"
    ) in page


def test_the_figure_of_reinmax_agrees_with_its_results():
    loss = -mean(row["elbo"] for row in load("vae-reinmax.json")["rows"])
    assert f"10 epochs: {loss:.1f} nats." in " ".join(PAGE.read_text().split())


def test_the_figures_of_two_processes_agree_with_their_results():
    one, two, many = load("vae-processes.json")["rows"]
    page = " ".join(PAGE.read_text().split())
    assert f"is {one['bound']:.2f} by one process and {two['bound']:.2f} by two" in page
    assert f"1,000 samples of each takes {many['seconds']:.0f} s on one core" in page


def test_the_seconds_of_an_epoch_agree_with_its_results():
    epoch = load("vae-epoch.json")
    seconds = {name: median(values) for name, values in epoch["seconds"].items()}
    page = " ".join(PAGE.read_text().split())
    assert (
        f"an epoch of `relaxit-vae train` takes {epoch['ratios']['epoch']:.2f} times as long"
        in page
    )
    assert f"{seconds['relaxit-vae']:.1f} s and {seconds['image by image']:.1f} s." in page


@pytest.mark.parametrize("path", RESULTS, ids=lambda path: path.name)
def test_results_say_where_they_come_from(path):
    about = json.loads(path.read_text())["about"]
    assert {"command", "commit", "cpu", "python", "versions"} <= about.keys()
    assert not re.search(r"(^|\s)/", about["command"])  # no path of a machine
