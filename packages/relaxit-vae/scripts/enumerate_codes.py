"""Compares the importance-weighted bound of trained models with the sum over all codes.

    python scripts/enumerate_codes.py DATA_DIR ../../docs/results/vae-enumeration.json

Each model has 8 binary latents, so that log p(image) is a sum over 256 codes. The bound uses 20,000
samples for each of the first 100 test images.
"""

import itertools
import json
import math
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from relaxit_vae import VAE, Config, train
from relaxit_vae.data import load_images
from relaxit_vae.evaluation import binarized, log_weights
from relaxit_vae.objective import log_likelihood, log_mean_exp
from relaxit_vae.provenance import provenance
from relaxit_vae.seeds import drawn_from

LATENTS = (
    "straight-through-bernoulli",
    "binary-concrete",
    "binary-concrete:hard",
    "correlated-relaxed-bernoulli",
)
BITS, IMAGES, SAMPLES = 8, 100, 20_000


@torch.no_grad()
def compared(checkpoint: Path, data_dir: Path) -> dict[str, float]:
    """Returns means over the images, in nats."""
    model = VAE.load(checkpoint)
    images = binarized(load_images("test", data_dir)[:IMAGES], model.config.binarize)
    codes = torch.tensor(list(itertools.product([0.0, 1.0], repeat=BITS)))
    likelihood = log_likelihood(images, model.decode(codes)[:, None]).double()
    exact = likelihood.logsumexp(0) - math.log(len(codes))
    code, prior = model.latent.code(model.posterior(images)), model.latent.code_prior()
    with drawn_from("enumeration"):
        both = code.distribution, prior, code.read
        weights = list(log_weights(model, images, slice(None), SAMPLES, *both))
    bound = log_mean_exp(weights)
    middle = len(weights) // 2
    halves = (log_mean_exp(weights[:middle]) + log_mean_exp(weights[middle:])) / 2
    return {
        "exact": exact.mean().item(),
        "bound": bound.mean().item(),
        "difference": (bound - exact).mean().item(),
        "stderr_of_difference": ((bound - exact).std() / math.sqrt(IMAGES)).item(),
        "mean_of_halves": halves.mean().item(),
        "images_where_halves_are_above": int((halves > bound + 1e-12).sum()),
    }


def main(data_dir: Path, output: Path) -> None:
    """Trains and compares each latent."""
    found = {}
    for latent in LATENTS:
        name, _, hard = latent.partition(":")
        with TemporaryDirectory() as scratch:
            config = Config(
                latent=name,
                variables=BITS,
                hidden=(400,),
                binarize="threshold",
                epochs=5,
                hard=bool(hard),
                data_dir=data_dir,
                output=Path(scratch, "run"),
            )
            run = train(config, quiet=True, importance_samples=1)
            found[latent] = compared(run.checkpoint, data_dir)
            print(latent, found[latent], flush=True)
    results = {"about": provenance(), "samples": SAMPLES, "images": IMAGES, "latents": found}
    output.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
