"""The terms of the evidence lower bound, in nats per image: pure functions.

Which bound is it? The model has a uniform discrete prior and a decoder; its approximate posterior
is `posterior.discrete`. `elbo` with `discrete_kl` is an unbiased one-sample estimate of a valid
lower bound on `log p(image)` when the decoder was given a DISCRETE code drawn from that posterior,
such as `posterior.harden(posterior.rsample())`: this is what evaluation reports. When the decoder
was given a relaxed code, as in training without `hard`, the two terms speak of different
variables: a useful objective, but not a bound.

With grey levels as images the reconstruction term is the usual cross-entropy, not a
log-probability; binarised images make it one.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.distributions import Distribution, kl_divergence
from torch.nn.functional import binary_cross_entropy_with_logits

from relaxit_torch import RelaxedDistribution


class Terms(NamedTuple):
    """`elbo = reconstruction - kl`, each of shape `(batch,)`."""

    elbo: Tensor
    reconstruction: Tensor
    kl: Tensor


def elbo(images: Tensor, pixel_logits: Tensor, kl: Tensor) -> Terms:
    """The terms for `images` given the decoder's `pixel_logits`, both `(batch, pixels)`."""
    cross_entropy = binary_cross_entropy_with_logits(pixel_logits, images, reduction="none")
    reconstruction = -cross_entropy.sum(dim=-1)  # (batch,)
    return Terms(reconstruction - kl, reconstruction, kl)


def discrete_kl(posterior: RelaxedDistribution) -> Tensor:
    """KL of `posterior.discrete` from the uniform prior, in closed form, summed over the variables.

    The posterior has batch shape `(batch, variables)`, the result `(batch,)`.
    """
    discrete = posterior.discrete
    return kl_divergence(discrete, uniform_prior(discrete)).sum(dim=-1)


def uniform_prior(discrete: Distribution) -> Distribution:
    """The law of the same class and shape as `discrete` under which all values are as likely."""
    law: Any = discrete  # any class with logits
    prior: Distribution = type(law)(logits=torch.zeros_like(law.logits), validate_args=False)
    return prior
