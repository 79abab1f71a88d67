"""How good gradient estimates are inside a trained model, against the sum over all codes."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Distribution, Independent

from relaxit_torch.diagnostics import GradientReport, gradient_report
from relaxit_torch.estimators import exact
from relaxit_vae.codes import Code
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
    """Compare estimates of the gradient of the reconstruction term with the exact one.

    The gradient is that with respect to the posterior logits of the first test images. The exact
    one is a sum over all codes. They are decoded once, for the likelihood of an image is linear in
    its pixels, given what the decoder says of a code.

    Args:
        checkpoint: of a run whose latent has one-hot or binary codes.
        estimators: names, with options as `--estimator` has them.
        samples: draws of each estimator.
        images: how many of the test images.
        temperatures: a row for each, of estimators with a free temperature.
        data_dir: see `Config`.
        seed: of all draws.

    Raises:
        InputError: the codes are too many to be enumerated, or not of that kind; more images than
            there are; an estimator that does not exist or does not suit them.
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
        code, prior = Code.of(model.posterior(test)), model.latent.code_prior()
        law = as_one_event(code.law, prior)
        try:
            truth = exact_gradient(model, law, test)
            return gradient_report(
                found,
                law,
                lambda code: log_likelihood(test, model.decode(code)),
                samples=samples,
                temperatures=temperatures,
                exact_gradient=truth,
                chunk_size=CHUNK,
            )
        except (TypeError, ValueError) as error:
            raise InputError(str(error)) from error


def exact_gradient(model: VAE, law: Distribution, images: Tensor) -> Tensor:
    """The derivative of `sum E log p(image | code)` with respect to the logits of `law`."""

    @torch.no_grad()
    def likelihood(codes: Tensor) -> Tensor:  # (codes, images, *event), the same for all images
        pixel_logits = torch.cat([model.decode(part) for part in codes[:, 0].split(1000)])
        # sum_i x_i l_i - log(1 + e^l_i) of every code and image: a product of matrices.
        constant = log_likelihood(torch.zeros(()), pixel_logits)
        return pixel_logits @ images.mT + constant[:, None]

    base: Any = law.base_dist if isinstance(law, Independent) else law
    expected = exact(law, likelihood, max_states=MAX_CODES)
    (gradient,) = torch.autograd.grad(expected.sum(), base.logits)
    return gradient
