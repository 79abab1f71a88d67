import csv
import json

import pytest
from PIL import Image

from relaxit_vae import Config, InputError, compare
from relaxit_vae.comparison import entries, table


def test_a_latent_may_bring_options():
    config = Config(latent="binary-concrete, gumbel-softmax:hard:variables=4:learning-rate=0.1")
    first, second = entries(config)
    assert first.config == Config()
    assert second.config == Config(
        latent="gumbel-softmax", hard=True, variables=4, learning_rate=0.1
    )


def test_an_estimator_is_the_last_option_and_brings_its_own():
    words = "gumbel-softmax:variables=4:estimator=gumbel-rao:samples=20:temperature=0.3"
    own, whole = entries(Config(latent=f"{words},gumbel-softmax:estimator=reinmax"))
    assert own.config == Config(
        latent="gumbel-softmax", variables=4, estimator="gumbel-rao:samples=20:temperature=0.3"
    )
    assert whole.config == Config(latent="gumbel-softmax", estimator="reinmax")


@pytest.mark.parametrize(
    ("latent", "complaint"),
    [
        ("binary-concrete,concrete", "--latent must be one of"),
        (
            "gumbel-softmax,binary-concrete:tau=1",
            "options of --latent must be those of train, but got tau=1 in binary-concrete:tau=1",
        ),
        (
            "gumbel-softmax,gumbel-softmax:temperature=1:estimator=reinmax:temperature=1.3",
            "--temperature must be left out where the estimator has a temperature of its own",
        ),
        ("binary-concrete:variables=x", "--variables must be an integer"),
        ("binary-concrete:k=2", "--k must be an option of the latent"),
        ("binary-concrete,binary-concrete", "twice"),
        ("gumbel-softmax:estimator=", "--latent gumbel-softmax:estimator must be one of arm"),
        ("gumbel-softmax:estimator=reinmax:variables=4", "variables"),
    ],
)
def test_what_cannot_be_compared_is_refused_before_anything_is_trained(config, latent, complaint):
    with pytest.raises(InputError, match=complaint):
        compare(config(latent=latent), quiet=True)
    assert not config().folder.exists()


def test_a_comparison_leaves_table_and_chart(config):
    options = config(latent="binary-concrete:variables=3,stochastic-times-smooth:variables=3")
    rows = compare(options, seeds=2, importance_samples=5, quiet=True)
    folder = options.folder
    assert [(row["latent"], row["seed"]) for row in rows] == [
        (name, seed) for name in options.latent.split(",") for seed in (0, 1)
    ]
    with (folder / "compare.csv").open() as file:
        assert len(list(csv.DictReader(file))) == 4
    written = json.loads((folder / "compare.json").read_text())
    assert written["rows"] == json.loads(json.dumps(rows))
    assert written["options"]["latent"] == options.latent
    assert {"command", "commit", "cpu", "versions"} <= written["about"].keys()
    text = (folder / "compare.md").read_text()
    assert text == table(rows)
    assert "| binary-concrete:variables=3 | discrete | -" in text
    assert "| discrete, matched in mean | -" in text
    assert "±" in text
    with Image.open(folder / "compare.png") as picture:
        assert picture.width == 1350

    with pytest.raises(InputError, match="no earlier runs unless --overwrite or --resume"):
        compare(options, seeds=2, quiet=True)
    again = compare(options, seeds=2, importance_samples=5, resume=True, quiet=True)
    assert [row["bound"] for row in again] == [row["bound"] for row in rows]
