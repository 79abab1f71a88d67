"""The objective against enumeration and against sums by hand, in float64."""

import math

import pytest
import torch
from torch.distributions import Bernoulli

from relaxit_torch import BinaryConcrete, GumbelSoftmax
from relaxit_vae.objective import discrete_kl, elbo, uniform_prior

PIXELS = 6


@pytest.fixture(autouse=True)
def seed():
    torch.manual_seed(0)


def binary():
    logits = torch.randn(4, 3, dtype=torch.float64)  # 3 variables, 4 images
    codes = torch.cartesian_prod(*[torch.tensor([0.0, 1.0], dtype=torch.float64)] * 3)
    return BinaryConcrete(0.7, logits=logits), codes  # (8, 3)


def categorical():
    logits = torch.randn(4, 2, 3, dtype=torch.float64)  # 2 variables of 3 categories, 4 images
    pairs = torch.cartesian_prod(torch.arange(3), torch.arange(3))
    codes = torch.nn.functional.one_hot(pairs, 3).double()
    return GumbelSoftmax(0.7, logits=logits), codes  # (9, 2, 3)


def tiny_model(codes):
    """Images, a decoder, and the exact log p(image) of the model with a uniform prior."""
    images = torch.rand(4, PIXELS, dtype=torch.float64).round()
    weights = 2 * torch.randn(codes[0].numel(), PIXELS, dtype=torch.float64)

    def decoder(code):
        return code.flatten(-codes.ndim + 1) @ weights

    likelihood = Bernoulli(logits=decoder(codes)).log_prob(images[:, None]).sum(-1)
    return images, decoder, likelihood, likelihood.logsumexp(1) - math.log(len(codes))


def enumerated(posterior, codes, likelihood):
    """The expectation of the one-sample bound, over all codes."""
    log_q = posterior.discrete.log_prob(codes[:, None]).sum(-1).T  # (images, codes)
    return (log_q.exp() * (likelihood - log_q - math.log(len(codes)))).sum(1)


@pytest.mark.parametrize("law", [binary, categorical])
def test_one_sample_bound_is_unbiased_and_below_the_log_likelihood(law):
    posterior, codes = law()
    images, decoder, likelihood, exact = tiny_model(codes)
    expected = enumerated(posterior, codes, likelihood)
    assert (expected < exact).all()

    draws = posterior.harden(posterior.rsample((20_000,)))
    bounds = elbo(images.expand(20_000, -1, -1), decoder(draws), discrete_kl(posterior)).elbo
    error = bounds.std(0) / math.sqrt(len(bounds))
    assert ((bounds.mean(0) - expected).abs() < 5 * error).all()  # false alarm below 1e-5


def test_the_bound_is_tight_at_the_exact_posterior():
    codes = torch.eye(5, dtype=torch.float64)[:, None]  # one variable of 5 categories
    images, decoder, likelihood, exact = tiny_model(codes)
    posterior = GumbelSoftmax(0.7, logits=likelihood[:, None])
    assert torch.allclose(enumerated(posterior, codes, likelihood), exact)
    assert torch.allclose(
        sum(
            posterior.discrete.probs[:, 0, choice]
            * elbo(images, decoder(codes[[choice] * 4]), discrete_kl(posterior)).elbo
            for choice in range(5)
        ),
        exact,
    )


def test_kl_of_bits_is_the_sum_by_hand():
    posterior, _ = binary()
    p = posterior.logits.sigmoid()
    by_hand = (p * (2 * p).log() + (1 - p) * (2 * (1 - p)).log()).sum(1)
    assert torch.allclose(discrete_kl(posterior), by_hand)


def test_kl_of_categories_is_the_sum_by_hand():
    posterior, _ = categorical()
    p = posterior.logits.softmax(-1)
    assert torch.allclose(discrete_kl(posterior), (p * (3 * p).log()).sum((1, 2)))


@pytest.mark.parametrize("law", [binary, categorical])
def test_a_uniform_posterior_costs_nothing(law):
    posterior, _ = law()
    uniform = type(posterior)(0.7, logits=torch.full_like(posterior.logits, 3.0) * 0)
    assert torch.allclose(discrete_kl(uniform), torch.zeros(4, dtype=torch.float64))
    assert uniform_prior(posterior.discrete).batch_shape == posterior.batch_shape


def test_terms_are_per_image_and_add_up():
    images = torch.rand(4, PIXELS).round()
    pixel_logits = torch.randn(4, PIXELS)
    terms = elbo(images, pixel_logits, torch.arange(4.0))
    by_hand = Bernoulli(logits=pixel_logits).log_prob(images).sum(1)
    assert torch.allclose(terms.reconstruction, by_hand)
    assert torch.allclose(terms.elbo, by_hand - torch.arange(4.0))
