"""Compares the objective with enumeration and with sums by hand, in float64."""

import math

import pytest
import torch
from torch.distributions import Bernoulli, OneHotCategorical
from torch.nn.functional import binary_cross_entropy_with_logits

from relaxit_torch import BinaryConcrete, ExpGumbelSoftmax, GumbelSoftmax, LogitBinaryConcrete
from relaxit_vae.objective import (
    closed_form_kl,
    elbo,
    kl_at_sample,
    log_likelihood,
    log_mean_exp,
)

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


def uniform(posterior):
    """Its discrete distribution, and the uniform prior of one image."""
    return posterior.discrete, type(posterior)(0.7, logits=posterior.logits[0]).uniform().discrete


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


@pytest.mark.parametrize("distribution", [binary, categorical])
def test_one_sample_bound_is_unbiased_and_below_the_log_likelihood(distribution):
    posterior, codes = distribution()
    images, decoder, likelihood, exact = tiny_model(codes)
    expected = enumerated(posterior, codes, likelihood)
    assert (expected < exact).all()

    draws = posterior.harden(posterior.rsample((20_000,)))
    bounds = elbo(images, decoder(draws), closed_form_kl(*uniform(posterior))).elbo
    error = bounds.std(0) / math.sqrt(len(bounds))
    assert ((bounds.mean(0) - expected).abs() < 5 * error).all()  # false alarm below 1e-5


def test_the_bound_is_tight_at_the_exact_posterior():
    codes = torch.eye(5, dtype=torch.float64)[:, None]  # one variable of 5 categories
    images, decoder, likelihood, exact = tiny_model(codes)
    posterior = GumbelSoftmax(0.7, logits=likelihood[:, None])
    assert torch.allclose(enumerated(posterior, codes, likelihood), exact)
    discrete = posterior.discrete
    assert isinstance(discrete, OneHotCategorical)
    terms = [
        discrete.probs[:, 0, choice]
        * elbo(images, decoder(codes[[choice] * 4]), closed_form_kl(*uniform(posterior))).elbo
        for choice in range(5)
    ]
    assert torch.allclose(torch.stack(terms).sum(0), exact)


def test_kl_of_bits_is_the_sum_by_hand():
    posterior, _ = binary()
    p = posterior.logits.sigmoid()
    by_hand = (p * (2 * p).log() + (1 - p) * (2 * (1 - p)).log()).sum(1)
    assert torch.allclose(closed_form_kl(*uniform(posterior)), by_hand)


def test_kl_of_categories_is_the_sum_by_hand():
    posterior, _ = categorical()
    p = posterior.logits.softmax(-1)
    assert torch.allclose(closed_form_kl(*uniform(posterior)), (p * (3 * p).log()).sum((1, 2)))


@pytest.mark.parametrize("distribution", [binary, categorical])
def test_a_uniform_posterior_costs_nothing(distribution):
    posterior, _ = distribution()
    flat = type(posterior)(0.7, logits=torch.zeros_like(posterior.logits))
    nothing = torch.zeros(4, dtype=torch.float64)
    assert torch.allclose(closed_form_kl(*uniform(flat)), nothing)
    prior = type(posterior)(0.7, logits=torch.zeros_like(posterior.logits[0]))
    assert torch.allclose(closed_form_kl(flat, prior), nothing, atol=1e-6)
    assert torch.allclose(kl_at_sample(flat.rsample(), flat, prior), nothing)


@pytest.mark.parametrize(
    ("distribution", "log_space"), [(binary, LogitBinaryConcrete), (categorical, ExpGumbelSoftmax)]
)
@pytest.mark.parametrize("temperature", [0.7, 0.01])
def test_the_relaxed_divergence_is_unbiased_and_never_below_the_discrete_one(
    distribution, log_space, temperature
):
    relaxed, _ = distribution()
    posterior = log_space(temperature, logits=relaxed.logits)
    prior = log_space(temperature, logits=torch.zeros_like(relaxed.logits[0]))
    draws = kl_at_sample(posterior.rsample((20_000,)), posterior, prior)
    expected = closed_form_kl(posterior, prior)
    error = draws.std(0) / math.sqrt(len(draws))
    assert ((draws.mean(0) - expected).abs() < 5 * error).all()  # false alarm below 1e-5
    assert (
        expected >= closed_form_kl(*uniform(relaxed))
    ).all()  # hardening is a function of the value


def test_a_divergence_without_closed_form_is_refused():
    posterior, _ = binary()
    with pytest.raises(NotImplementedError):
        closed_form_kl(posterior, BinaryConcrete(0.5, logits=posterior.logits[0]))


def test_terms_are_per_image_and_add_up():
    images = torch.rand(4, PIXELS).round()
    pixel_logits = torch.randn(4, PIXELS)
    terms = elbo(images, pixel_logits, torch.arange(4.0))
    by_hand = Bernoulli(logits=pixel_logits).log_prob(images).sum(1)
    assert torch.allclose(terms.reconstruction, by_hand)
    assert torch.allclose(terms.elbo, by_hand - torch.arange(4.0))


def test_the_likelihood_is_the_cross_entropy_with_its_gradient():
    images = torch.rand(3, 1000)
    logits = 40 * torch.randn(2, 3, 1000)  # some beyond the range of exp in float32
    logits.requires_grad_()
    exact = -binary_cross_entropy_with_logits(
        logits.double(), images.expand_as(logits).double(), reduction="none"
    ).sum(-1)
    ours = log_likelihood(images, logits)
    assert torch.allclose(ours.double(), exact, rtol=1e-6, atol=1e-3)
    found, expected = (torch.autograd.grad(value.sum(), logits)[0] for value in (ours, exact))
    assert torch.allclose(found, expected, atol=1e-6)


def test_log_mean_exp_does_not_depend_on_the_chunks():
    weights = 300 * torch.randn(10, 4)
    whole = weights.double().logsumexp(0) - math.log(10)
    for sizes in ([10], [1] * 10, [3, 3, 4]):
        assert torch.allclose(log_mean_exp(weights.split(sizes)), whole)


def test_the_bound_of_all_samples_is_at_least_the_mean_bound_of_the_halves():
    """Jensen's inequality holds for every draw, not only in expectation."""
    weights = 20 * torch.randn(40, 1000, dtype=torch.float64)
    halves = [log_mean_exp([half]) for half in weights.chunk(2)]
    assert (log_mean_exp([weights]) >= torch.stack(halves).mean(0)).all()
