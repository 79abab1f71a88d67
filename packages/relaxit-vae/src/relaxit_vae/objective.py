"""The terms of the evidence lower bound, in nats per image: pure functions.

`elbo` is an unbiased one-sample estimate of a lower bound on `log p(image)` of a model when its
three parts speak of one latent variable: the decoder reads a function of it that does not depend
on the image, and the divergence is between its approximate posterior and its prior.

- `law_kl` of the discrete laws, with a decoder that reads discrete codes: a bound of the DISCRETE
  model. So it is with `hard` latents, and in every evaluation.
- `relaxed_kl` or `closed_form_kl` of the relaxed laws, with a decoder that reads the relaxed code:
  a bound of the RELAXED model, whose latent variable is continuous.
- `law_kl` of the discrete laws with a decoder that reads relaxed codes: a useful objective, but a
  bound of neither, for its two terms speak of different variables. It is no default where the
  relaxed laws have a finite divergence.

With grey levels as images the reconstruction term is the usual cross-entropy, not a
log-probability; binarised images make it one.
"""

import math
from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence

from relaxit_torch import RelaxedDistribution


class Terms(NamedTuple):
    """`elbo = reconstruction - kl`, each of shape `(batch,)`."""

    elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


def elbo(images: Tensor, pixel_logits: Tensor, kl: Tensor) -> Terms:
    """The terms for `images` given the decoder's `pixel_logits`, both `(batch, pixels)`."""
    reconstruction = log_likelihood(images, pixel_logits)  # (batch,)
    return Terms(reconstruction - kl, reconstruction, kl)


def log_likelihood(images: Tensor, pixel_logits: Tensor) -> Tensor:
    """`log p(image | code)`: `(batch, pixels)` and `(*samples, batch, pixels)` to all but pixels.

    The cross-entropy is `x l - log(1 + e^l)`. An evaluation takes billions of them, and `softplus`
    would take most of its time: `log1p` is slow. Here a pixel errs by at most an ulp of 1.
    """
    held = pixel_logits.clamp(max=80)  # the exponential is finite in float32
    above = pixel_logits - held
    return (images * pixel_logits - above - (1 + held.exp()).log()).sum(dim=-1)


def law_kl(posterior: Distribution, prior: Distribution) -> Tensor:
    """The divergence in closed form, summed over the variables of an image: `(batch,)`.

    Raises `NotImplementedError` when none is registered for these laws.
    """
    expanded = prior.expand(posterior.batch_shape)  # torch's own for Bernoulli does not broadcast
    return per_image(kl_divergence(posterior, expanded), prior)


closed_form_kl = law_kl
"""The same between relaxed laws, where `torch.distributions.kl_divergence` knows it."""


def relaxed_kl(value: Tensor, posterior: RelaxedDistribution, prior: Distribution) -> Tensor:
    """`log q - log p` at a sample of the posterior, `(*samples, batch)`: unbiased for the KL.

    Laws of log-space or logit-space variables keep it exact where the value itself would have
    saturated (Maddison et al. 2017, section C.3).
    """
    return per_image(posterior.log_prob(value) - prior.log_prob(value), prior)


def per_image(terms: Tensor, prior: Distribution) -> Tensor:
    """Terms of shape `(..., batch, *variables)` summed over the batch shape of the prior."""
    return terms.sum(dim=tuple(range(-len(prior.batch_shape), 0))) if prior.batch_shape else terms


def log_mean_exp(chunks: Iterable[Tensor]) -> Tensor:
    """`log mean exp` over the first dimension of tensors `(samples, batch)` that come in chunks.

    Of log importance weights `log p(image, code) - log q(code)` it is the importance-weighted
    bound of Burda et al. (2016), which grows in expectation with the number of samples.
    """
    total, count = torch.tensor(-math.inf, dtype=torch.float64), 0
    for chunk in chunks:
        largest = chunk.double().logsumexp(dim=0)
        total = torch.logaddexp(total.to(largest.device), largest)
        count += len(chunk)
    return total - math.log(count)
