"""Compares gradient estimators with the exact gradient inside autoencoders trained by ReinMax.

    python scripts/measure_gradients.py DATA_DIR ../../docs/results/vae-gradients.json

The models have 4 variables of 8 categories, layers 784-512-256 and train for 5 epochs on grey
levels (Adam 5e-4, batches of 100, temperature 1.3), with three seeds. Each estimator is drawn 512
times for the first 100 test images, at temperature 1 if it has a temperature.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path
from statistics import mean
from tempfile import TemporaryDirectory

from relaxit_vae import Config, train
from relaxit_vae.gradient_quality import gradients
from relaxit_vae.provenance import provenance

SEEDS = (0, 1, 2)
ESTIMATORS = (
    "reinmax",
    "straight-through",
    "gumbel-softmax-straight-through",
    "gumbel-rao:samples=100",
)


def main(data_dir: Path, output: Path) -> None:
    """Trains and compares with each seed."""
    rows = []
    for seed in SEEDS:
        with TemporaryDirectory() as scratch:
            config = Config(
                latent="gumbel-softmax",
                variables=4,
                categories=8,
                estimator="reinmax",
                temperature=1.3,
                learning_rate=5e-4,
                epochs=5,
                seed=seed,
                data_dir=data_dir,
                output=Path(scratch, "run"),
            )
            run = train(config, quiet=True, importance_samples=1)
            report = gradients(run.checkpoint, estimators=ESTIMATORS, data_dir=data_dir, seed=seed)
        print(report, flush=True)
        rows += [{"seed": seed, **asdict(row)} for row in report.rows]
    cosines = {
        name: round(mean(row["cosine_of_mean"] for row in rows if row["estimator"] == name), 4)
        for name in ESTIMATORS
    }
    results = {"about": provenance(), "mean_cosine_of_mean": cosines, "rows": rows}
    output.write_text(json.dumps(results, indent=1) + "\n")
    print(cosines)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
