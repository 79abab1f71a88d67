"""The terms of the evidence lower bound, in nats per image: pure functions.

`elbo` is an unbiased one-sample estimate of a lower bound on `log p(image)` of a model, if its
parts are about one latent variable: the decoder reads a function of this variable that does not
depend on the image, and the divergence is between its approximate posterior and its prior.

- The divergence of the discrete distributions, with a decoder that reads discrete codes: a bound of
  the discrete model. Hard latents and all evaluations use it.
- The divergence of the relaxed distributions, with a decoder that reads relaxed codes: a bound of
  the relaxed model, whose latent variable is continuous.
- The divergence of the discrete distributions, with a decoder that reads relaxed codes: a useful
  objective, but a bound of neither model, because its terms are about different variables. It is
  the default only where the divergence of the relaxed distributions is infinite.

With grey levels as images the reconstruction term is the usual cross-entropy, not a
log-probability. Binarised images make it a log-probability.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence


class Terms(NamedTuple):
    """`elbo = reconstruction - kl`, each of shape `(batch,)`."""

    elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


def elbo(images: Tensor, pixel_logits: Tensor, kl: Tensor) -> Terms:
    """Returns the terms for `images` and the decoder's `pixel_logits`, both `(batch, pixels)`."""
    reconstruction = log_likelihood(images, pixel_logits)  # (batch,)
    return Terms(reconstruction - kl, reconstruction, kl)


def log_likelihood(images: Tensor, pixel_logits: Tensor) -> Tensor:
    """Returns `log p(image | code)`, summed over the pixels.

    The shapes are `(batch, pixels)` and `(*samples, batch, pixels)`.

    The cross-entropy is `x l - log(1 + e^l)`. An evaluation takes billions of them, and `softplus`,
    which uses the slow `log1p`, would take most of its time. Here the error of a pixel is at most
    an ulp of 1.
    """
    held = pixel_logits.clamp(max=80)  # the exponential is finite in float32
    above = pixel_logits - held
    return (images * pixel_logits - above - (1 + held.exp()).log()).sum(dim=-1)


def closed_form_kl(posterior: Distribution, prior: Distribution) -> Tensor:
    """Returns the divergence in closed form, summed over the variables of an image: `(batch,)`.

    Raises:
        NotImplementedError: `torch.distributions.kl_divergence` has no closed form for it.
    """
    expanded = prior.expand(posterior.batch_shape)  # torch's own for Bernoulli does not broadcast
    return per_image(kl_divergence(posterior, expanded), prior)


def kl_at_sample(value: Tensor, posterior: Distribution, prior: Distribution) -> Tensor:
    """Returns `log q - log p` at a sample of the posterior, `(*samples, batch)`.

    It is an unbiased estimate of the divergence. With log-space distributions it stays exact where
    the variable itself would have rounded to 0 or 1 (Maddison et al. 2017, section C.3).
    """
    return per_image(posterior.log_prob(value) - prior.log_prob(value), prior)


def per_image(terms: Tensor, prior: Distribution) -> Tensor:
    """Returns terms `(..., batch, *variables)` summed over the batch shape of the prior."""
    return terms.sum(dim=tuple(range(-len(prior.batch_shape), 0))) if prior.batch_shape else terms


def log_mean_exp(chunks: Iterable[Tensor]) -> Tensor:
    """Returns `log mean exp` over the first dimension of all chunks, each `(samples, batch)`.

    For log importance weights `log p(image, code) - log q(code)` it is the importance-weighted
    bound of Burda et al. (2016). Its expectation grows with the number of samples.
    """
    total, count = torch.tensor(-math.inf, dtype=torch.float64), 0
    for chunk in chunks:
        part = chunk.double().logsumexp(dim=0)
        total = torch.logaddexp(total.to(part.device), part)
        count += len(chunk)
    return total - math.log(count)
