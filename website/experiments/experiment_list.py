"""The experiments whose figures the site shows: what each is, and the command that measures it.

Each file of `docs/results/` needs an entry here, with the command that measured it, and each entry
needs a file. Otherwise the site is not built.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

LIST = "website/experiments/experiment_list.py"
"""This file, as error messages name it."""

PLACES = {"--data-dir", "--json", "--output"}
"""Options for the places of files. They change no figure."""

MACHINE = ("--device", "--results", "--threads")
"""Options for the machine of the benchmarks. The results name it."""

MANNERS = ("--quiet", "--overwrite", "--resume", "--")
"""Other options that change no figure."""


@dataclass(frozen=True)
class Experiment:
    """How one file of results is measured."""

    title: str
    what: str
    command: str
    """DATA is the folder of MNIST, FIGURES the file of results, FOLDER all other output."""

    def words(self, data: str, figures: str, folder: str) -> list[str]:
        """The command, with paths in place of DATA, FIGURES and FOLDER."""
        places = {"DATA": data, "FIGURES": figures, "FOLDER": folder}
        words = shlex.split(self.command)
        for name, place in places.items():
            words = [word.replace(name, place) for word in words]
        return words


ONE_OF_EIGHT = ":variables=4:categories=8"

EXPERIMENTS = {
    "benchmarks": Experiment(
        "Speed of the samplers",
        "Time, kernels and memory of every sampler, next to those of torch, Pyro and others.",
        "nox -s bench -- --results=FIGURES",
    ),
    "estimators": Experiment(
        "Bias and variance of estimators",
        "Gradient estimators on two problems whose gradient is known. Each is rescaled so that the "
        "mean estimate has the exact gradient's norm.",
        "python packages/relaxit-vae/scripts/plot_bias_variance.py FIGURES FOLDER.png",
    ),
    "vae-enumeration": Experiment(
        "The bound against enumeration",
        "Importance-weighted bounds of autoencoders with 8 bits, compared with the sum over all "
        "256 codes, in nats per image.",
        "python packages/relaxit-vae/scripts/enumerate_codes.py DATA FIGURES",
    ),
    "vae-epoch": Experiment(
        "Seconds of an epoch",
        "An epoch of `relaxit-vae train`, next to an epoch that prepares each image by itself. The "
        "parts of both epochs are measured too: as many optimiser steps on one batch, and the "
        "batches alone.",
        "python packages/relaxit-vae/scripts/measure_epoch.py DATA FIGURES",
    ),
    "vae-gradients": Experiment(
        "Estimators inside an autoencoder",
        "Estimates of the gradient of the reconstruction term in a trained model, compared with "
        "the sum over all codes.",
        "python packages/relaxit-vae/scripts/measure_gradients.py DATA FIGURES",
    ),
    "vae-methods": Experiment(
        "All latents on the shipped digits",
        "Autoencoders with every latent, on the 6,000 digits that come with `relaxit-vae`; in nats "
        "per image.",
        "relaxit-vae compare --latent binary-concrete,binary-concrete:hard,"
        "gaussian-relaxed-bernoulli,hard-concrete,straight-through-bernoulli,"
        "stochastic-times-smooth,correlated-relaxed-bernoulli,gumbel-softmax,gumbel-softmax:hard,"
        "gumbel-rao,invertible-gaussian,invertible-gaussian:temperature=0.1,"
        "logistic-normal-softmax,gumbel-softmax-top-k,gumbel-softmax-top-k:hard "
        "--output FOLDER --json FIGURES",
    ),
    "vae-processes": Experiment(
        "One process and two",
        "The same autoencoder trained by one process and by two, and the time of an evaluation.",
        "python packages/relaxit-vae/scripts/compare_processes.py DATA FIGURES",
    ),
    "vae-protocol-a": Experiment(
        "Grey levels, hard Gumbel-Softmax",
        "Four variables of eight categories on the full MNIST, pixels as they are; in nats per "
        "image.",
        "relaxit-vae compare --latent gumbel-softmax --variables 4 --categories 8 --seeds 3 "
        "--data-dir DATA --hard --temperature 0.5 --learning-rate 3e-4 --epochs 20 "
        "--output FOLDER --json FIGURES",
    ),
    "vae-protocol-b": Experiment(
        "Black and white, all latents",
        "Autoencoders with every latent on the full MNIST, pixels above 1/2; in nats per image.",
        "relaxit-vae compare --latent straight-through-bernoulli,binary-concrete,"
        "binary-concrete:hard,binary-concrete:kl=discrete,gaussian-relaxed-bernoulli,"
        "hard-concrete,stochastic-times-smooth,correlated-relaxed-bernoulli,"
        f"gumbel-softmax{ONE_OF_EIGHT},gumbel-softmax:hard{ONE_OF_EIGHT},"
        f"gumbel-softmax:kl=discrete{ONE_OF_EIGHT},gumbel-rao{ONE_OF_EIGHT},"
        f"invertible-gaussian{ONE_OF_EIGHT},invertible-gaussian:temperature=0.1{ONE_OF_EIGHT},"
        f"invertible-gaussian:temperature=0.2{ONE_OF_EIGHT},"
        f"logistic-normal-softmax{ONE_OF_EIGHT},gumbel-softmax-top-k{ONE_OF_EIGHT},"
        f"gumbel-softmax-top-k:hard{ONE_OF_EIGHT} --epochs 20 --hidden 400 --batch-size 128 "
        "--binarize threshold --data-dir DATA --importance-samples 100 --output FOLDER "
        "--json FIGURES",
    ),
    "vae-reinmax": Experiment(
        "Grey levels, ReinMax",
        "The model of the experiment with hard Gumbel-Softmax, trained by the estimator ReinMax; "
        "in nats per image.",
        "relaxit-vae compare --latent gumbel-softmax --variables 4 --categories 8 --seeds 3 "
        "--data-dir DATA --estimator reinmax --temperature 1.3 --learning-rate 5e-4 --epochs 10 "
        "--output FOLDER --json FIGURES",
    ),
}


def experiment_of(name: str, results: Mapping[str, Any]) -> Experiment:
    """The entry of a file of results.

    Raises:
        ValueError: there is no entry, or the file was measured by another command.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"docs/results/{name}.json has no command in {LIST}")
    experiment, recorded = EXPERIMENTS[name], results.get("about", {}).get("command", "")
    declared = list(settings(shlex.split(experiment.command)))
    measured = list(settings(shlex.split(recorded)))
    if measured != declared:
        raise ValueError(
            f"docs/results/{name}.json was measured by {shlex.join(measured)!r}, but "
            f"{LIST} has {shlex.join(declared)!r}"
        )
    return experiment


def settings(words: list[str]) -> Iterator[str]:
    """The program and the options on which figures depend."""
    before = ""
    for word in words[1:] if words[:1] == ["python"] else words:
        option = word.partition("=")[0]
        place = before in PLACES or word in ("DATA", "FIGURES", "FOLDER.png")
        place = place or "/" in word or word.endswith((".json", ".png"))
        if word.endswith(".py"):
            yield word.rpartition("/")[2]
        elif not place and option not in {*PLACES, *MACHINE, *MANNERS}:
            yield word
        before = word
