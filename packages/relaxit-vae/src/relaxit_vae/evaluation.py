"""The bounds of a trained model on images, in nats per image.

Each block of 100 images has its own stream of noise, drawn in portions of a fixed size. So the
figures depend neither on the batches nor on the number of processes.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.distributions import Distribution

from relaxit_vae.autoencoder import Autoencoder
from relaxit_vae.config import Binarize
from relaxit_vae.data import BLOCK, Piece
from relaxit_vae.latents import readable
from relaxit_vae.objective import elbo, log_likelihood, log_mean_exp, per_image
from relaxit_vae.seeds import drawn_from

Read = Callable[[Tensor], Tensor]
"""Maps a value of the latent to what the decoder reads."""
PORTION = 25
"""Samples of each image of a block that are in memory at once."""
ACTIVE = 0.01
"""Variance over the images above which a posterior mean counts as active (Burda et al. 2016)."""


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """Means over the test images, in nats per image.

    `elbo = reconstruction - kl` is the one-sample lower bound and `bound` the importance-weighted
    bound of the model whose latent variable is the `code`. `relaxed_bound` is the
    importance-weighted bound of the model whose decoder reads relaxed codes.
    """

    elbo: float
    bound: float
    bound_stderr: float
    """The standard error of `bound` as a mean over images."""
    kl: float
    reconstruction: float
    objective: float
    """What training maximises: as `elbo`, with the codes and the divergence of training."""
    relaxed_bound: float | None
    """`None` where the relaxed divergence is infinite for any prior."""
    gap: float | None
    """`relaxed_bound - bound`: what making the code discrete costs."""
    active_units: int
    """Latent variables whose posterior mean varies over the images."""
    units: int
    code: str
    """`discrete`; `discrete, matched in mean` where the samples have only the mean of the discrete
    variable; `relaxed` where no discrete variable is relaxed."""
    importance_samples: int
    images: int


def binarized(images: Tensor, how: Binarize) -> Tensor:
    """Returns grey levels as they are, compared with 1/2, or as means of fresh Bernoulli draws."""
    match how:
        case "none":
            return images
        case "threshold":
            return (images > 0.5).to(images.dtype)
        case "dynamic":
            return torch.bernoulli(images)


@torch.inference_mode()
def moments(
    model: Autoencoder, piece: Piece, *, seed: int, importance_samples: int
) -> dict[str, Tensor]:
    """Returns sums over the images of each figure and of its square, in double precision."""
    figures: dict[str, list[Tensor]] = {}
    for first in range(0, len(piece.images), BLOCK):
        block = piece.images[first : first + BLOCK]
        kept = slice(max(piece.start - first, 0), min(piece.stop - first, BLOCK))
        number = piece.first_block + first // BLOCK
        with drawn_from("evaluation", seed, number, device=block.device):
            for name, figure in evaluate_block(model, block, kept, importance_samples).items():
                figures.setdefault(name, []).append(figure.double())
    joined = {name: torch.cat(parts) for name, parts in figures.items()}
    sums = {name: torch.stack([f.sum(0), f.square().sum(0)]) for name, f in joined.items()}
    return sums | {"images": piece.images.new_tensor(piece.stop - piece.start).double()}


def evaluate_block(
    model: Autoencoder, images: Tensor, kept: slice, importance_samples: int
) -> dict[str, Tensor]:
    """Returns the figures of the images that are kept. Noise is drawn for all images."""
    images = binarized(images, model.config.binarize)
    encoded = model.encode(images)
    code, prior = model.latent.code(model.latent.posterior(encoded)), model.latent.code_prior()
    value = code.distribution.sample()
    kl = code.kl(prior, value)
    terms = elbo(images[kept], model.decode(code.read(value)[kept]), kl[kept])
    figures = {**terms._asdict(), "mean": code.mean()[kept]}
    if not importance_samples:
        return figures

    def bound(posterior: Distribution, prior: Distribution, read: Read) -> Tensor:
        return log_mean_exp(
            log_weights(model, images, kept, importance_samples, posterior, prior, read)
        )

    figures["objective"] = model.objective(images).elbo[kept]
    figures["bound"] = bound(code.distribution, prior, code.read)
    if model.has_relaxed_model:
        posterior = model.latent.posterior(encoded, log_space=True)
        relaxed_prior = model.latent.prior(log_space=True)
        figures["relaxed_bound"] = bound(
            posterior, relaxed_prior, lambda value: readable(posterior, value)
        )
    return figures


def log_weights(
    model: Autoencoder,
    images: Tensor,
    kept: slice,
    samples: int,
    posterior: Distribution,
    prior: Distribution,
    read: Read,
) -> Iterator[Tensor]:
    """Yields `log p(image, latent) - log q(latent)` of each sample, in portions `(part, kept)`."""
    for start in range(0, samples, PORTION):
        value = posterior.sample((min(PORTION, samples - start),))
        log_ratio = per_image(prior.log_prob(value) - posterior.log_prob(value), prior)
        pixel_logits = model.decode(read(value[:, kept]).to(images.dtype))
        yield log_likelihood(images[kept], pixel_logits) + log_ratio[:, kept]


def summarised(
    sums: Mapping[str, Tensor], model: Autoencoder, importance_samples: int
) -> Evaluation:
    """Returns the means, given sums over all images."""
    count = sums["images"].item()
    means = {name: total[0] / count for name, total in sums.items() if name != "images"}
    spread = sums["mean"][1] / count - means["mean"].square()  # (units, *event)
    active = spread.flatten(1).sum(1) > ACTIVE if spread.dim() > 1 else spread > ACTIVE
    bound = means["bound"].item()
    variance = (sums["bound"][1] / count - bound**2).clamp(min=0) * count / max(count - 1, 1)
    if model.has_relaxed_model:
        relaxed_bound: float | None = means["relaxed_bound"].item()
    else:
        relaxed_bound = bound if "relaxed" in model.latent.divergences else None
    return Evaluation(
        elbo=means["elbo"].item(),
        bound=bound,
        bound_stderr=math.sqrt(variance.item() / count),
        kl=means["kl"].item(),
        reconstruction=means["reconstruction"].item(),
        objective=means["objective"].item(),
        relaxed_bound=relaxed_bound,
        gap=None if relaxed_bound is None else relaxed_bound - bound,
        active_units=int(active.sum()),
        units=len(active),
        code=model.latent.row.code,
        importance_samples=importance_samples,
        images=int(count),
    )
