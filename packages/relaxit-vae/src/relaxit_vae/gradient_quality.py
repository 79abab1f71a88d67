"""Compares gradient estimates inside a trained model with the sum over all codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from relaxit_torch.diagnostics import GradientReport, gradient_report
from relaxit_torch.estimators import exact
from relaxit_vae.data import load_images
from relaxit_vae.errors import InputError
from relaxit_vae.estimation import as_one_event, find_estimator
from relaxit_vae.evaluation import binarized
from relaxit_vae.module import VAE
from relaxit_vae.objective import log_likelihood
from relaxit_vae.seeds import drawn_from

ESTIMATORS = ("reinmax", "straight-through", "gumbel-softmax-straight-through", "gumbel-rao")
MAX_CODES = 2**16
CHUNK = 32
"""Draws that are in memory at once."""


def gradients(
    checkpoint: Path,
    *,
    estimators: Sequence[str] = ESTIMATORS,
    samples: int = 512,
    images: int = 100,
    temperatures: Sequence[float] | None = None,
    data_dir: Path | None = None,
    seed: int = 0,
) -> GradientReport:
    """Compares estimates of the gradient of the reconstruction term with the exact gradient.

    Gradients are taken with respect to the posterior logits of the first test images. The exact
    gradient is a sum over all codes. Each code is decoded once for all images.

    Args:
        checkpoint: of a run whose latent has one-hot or binary codes.
        estimators: names, with options as in `--estimator`.
        samples: draws of each estimator.
        images: how many test images.
        temperatures: a row of the report for each, for estimators that take a temperature.
        data_dir: see `Config`.
        seed: of all draws.

    Raises:
        InputError: there are too many codes, or they are neither binary nor one-hot; there are
            fewer images; an estimator does not exist or does not suit the codes.
    """
    model = VAE.load(checkpoint)
    found = {name: find_estimator(name, flag="--estimators") for name in estimators}
    if len(found) < len(estimators):
        raise InputError(f"--estimators must be different, but got {', '.join(estimators)}")
    available = load_images("test", data_dir)
    if not 1 <= images <= len(available):
        raise InputError(f"--images must be among 1 to {len(available)}, but got {images}")
    with drawn_from("gradients", seed):
        test = binarized(available[:images], model.config.binarize)
        code, prior = model.latent.code(model.posterior(test)), model.latent.code_prior()
        distribution = as_one_event(code.distribution, prior)
        try:
            truth = exact_gradient(model, distribution, test)
            return gradient_report(
                found,
                distribution,
                lambda code: log_likelihood(test, model.decode(code)),
                samples=samples,
                temperatures=temperatures,
                exact_gradient=truth,
                chunk_size=CHUNK,
            )
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from error


def exact_gradient(model: VAE, distribution: Distribution, images: Tensor) -> Tensor:
    """Returns the derivative of `sum E log p(image | code)` by the logits of the codes.

    Args:
        model: decodes the codes.
        distribution: of the codes, `(images,)` with one event for each image.
        images: `(images, 784)`.
    """

    @torch.no_grad()
    def likelihood(codes: Tensor) -> Tensor:  # (codes, images, *event), the same for all images
        pixel_logits = torch.cat([model.decode(part) for part in codes[:, 0].split(1000)])
        # sum_i x_i l_i - log(1 + e^l_i) of every code and image: a product of matrices.
        constant = log_likelihood(torch.zeros(()), pixel_logits)
        return pixel_logits @ images.mT + constant[:, None]

    base: Any = distribution.base_dist if isinstance(distribution, Independent) else distribution
    expected = exact(distribution, likelihood, max_states=MAX_CODES)
    (gradient,) = torch.autograd.grad(expected.sum(), base.logits)
    return gradient
