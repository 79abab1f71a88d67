"""Trains the same model in one process and in two, and times an evaluation with 1,000 samples.

    python scripts/compare_processes.py DATA_DIR ../../docs/results/vae-processes.json

The model has 20 straight-through bits and layers 784-400-20-400-784, and trains for 5 epochs. The
noise differs between one process and two, so that their bounds differ by chance. The evaluation
uses all test images.
"""

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from relaxit_vae.provenance import provenance

TRAIN = (
    "train --latent straight-through-bernoulli --epochs 5 --hidden 400 --batch-size 128 "
    "--binarize threshold --importance-samples 100 --quiet"
)
COMMANDS = {
    "one process": f"{TRAIN} --output one",
    "two processes": f"{TRAIN} --output two --devices 2 --strategy ddp --accelerator cpu",
    "1000 samples": "evaluate --checkpoint one/checkpoints/last.ckpt --importance-samples 1000 "
    "--json one/evaluation.json --quiet",
}
FIGURES = ("bound", "bound_stderr", "elbo", "kl", "importance_samples", "images")


def main(data_dir: Path, output: Path) -> None:
    """Runs the commands in a temporary folder and writes the results."""
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory() as scratch:
        for name, command in COMMANDS.items():
            arguments = [*shlex.split(command), "--data-dir", str(data_dir.resolve())]
            start = time.perf_counter()
            subprocess.run(["relaxit-vae", *arguments], cwd=scratch, check=True)
            seconds = time.perf_counter() - start
            folder = "two" if name == "two processes" else "one"
            figures = json.loads(Path(scratch, folder, "evaluation.json").read_text())
            rows.append({"run": name, **{f: figures[f] for f in FIGURES}, "seconds": seconds})
            print(rows[-1], flush=True)
    one, two, _ = (row["bound"] for row in rows)
    results = {"about": provenance(), "difference_of_bounds": two - one, "rows": rows}
    output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
