"""The latent variable of the evaluated model, and its density."""

import itertools
import math

import pytest
import torch
from torch.distributions import Bernoulli

from relaxit_torch import BinaryConcrete, CorrelatedRelaxedBernoulli
from relaxit_vae.codes import Code, SignsOfNormal

CORRELATIONS = torch.tensor([[1.0, 0.7, 0.2], [0.7, 1.0, 0.5], [0.2, 0.5, 1.0]])
DRAWS = 200_000


def correlated(logits, matrix):
    return CorrelatedRelaxedBernoulli(0.5, logits=logits, correlation_matrix=matrix)


def test_a_code_is_the_discrete_variable():
    code = Code.of(BinaryConcrete(0.5, logits=torch.tensor([-1.0, 0.0, 2.0])))
    assert isinstance(code.distribution, Bernoulli)
    assert torch.equal(code.mean(), code.distribution.probs)
    assert torch.equal(code.read(torch.ones(3)), torch.ones(3))


def test_a_correlated_bit_is_the_sign_of_a_normal_variable_with_its_probability():
    logits = torch.tensor([-70.0, -3.0, 0.0, 1.0, 5.0], requires_grad=True)
    code = Code.of(correlated(logits, torch.eye(5)))
    signs = code.distribution
    assert isinstance(signs, SignsOfNormal)
    assert torch.allclose(torch.special.log_ndtr(signs.loc), logits.sigmoid().log(), atol=1e-4)
    assert torch.equal(code.read(torch.tensor([-0.1, 0.1])), torch.tensor([0.0, 1.0]))
    assert torch.allclose(code.mean(), logits.sigmoid())
    (gradient,) = torch.autograd.grad(signs.loc[2], logits)
    assert gradient[2].item() == pytest.approx(math.sqrt(2 * math.pi) / 4)


def test_without_correlation_the_score_equals_the_score_of_independent_bits():
    logits = torch.tensor([[-4.0, 0.3, 2.0], [1.0, -0.5, 30.0]])
    signs = Code.of(correlated(logits, torch.eye(3))).distribution
    value = signs.sample((50,))
    free = Bernoulli(logits=logits).log_prob((value > 0).to(value.dtype)).sum(-1)
    assert torch.allclose(signs.log_prob(value), free, rtol=1e-5)


def test_the_score_is_a_density_of_bits_and_uniform_levels():
    """For each of the 8 codes, the mean of its inverse over the draws with this code is 1.

    Five standard errors: for eight codes a false alarm once in 200,000 seeds.
    """
    torch.manual_seed(0)
    signs = Code.of(correlated(torch.tensor([0.5, -0.8, 0.4]), CORRELATIONS)).distribution
    value = signs.sample((DRAWS,))
    inverse = (-signs.log_prob(value)).exp()
    for code in itertools.product([False, True], repeat=3):
        seen = torch.where(((value > 0) == torch.tensor(code)).all(-1), inverse, 0)
        error = seen.std().item() / math.sqrt(DRAWS)
        assert seen.mean().item() == pytest.approx(1, abs=5 * error), (code, error)


def test_importance_weights_of_nearly_certain_bits_converge():
    """Weights of independent bits, drawn as correlated bits with the same means, average 1.

    To 0.01 nats with 20,000 draws, as the bound of a trained model must. The ratios of the normal
    densities are off by nats here.
    """
    torch.manual_seed(0)
    logits = torch.tensor([-30.0, -6.0, -1.0, 0.5, 2.0, 5.0, 12.0, 50.0], dtype=torch.float64)
    matrix = 0.4 * torch.eye(8) + 0.6
    signs = Code.of(correlated(logits, matrix.double())).distribution
    value = signs.sample((20_000,))
    free = Bernoulli(logits=logits).log_prob((value > 0).double()).sum(-1)
    log_weights = free - signs.log_prob(value)
    assert log_weights.logsumexp(0).item() - math.log(20_000) == pytest.approx(0, abs=0.01)


def test_two_bits_score_their_exact_probability_on_average():
    """E[1 / score | bits] is the inverse of the orthant probability, an arcsine at loc 0."""
    torch.manual_seed(0)
    signs = SignsOfNormal(torch.zeros(2), torch.linalg.cholesky(CORRELATIONS[:2, :2]))
    value = signs.sample((DRAWS,))
    both = (value > 0).all(-1)
    inverse = (-signs.log_prob(value[both])).exp()
    exact = 1 / 4 + math.asin(0.7) / (2 * math.pi)
    error = inverse.std().item() / math.sqrt(len(inverse))
    assert inverse.mean().item() == pytest.approx(1 / exact, abs=5 * error)


def test_shapes_follow_the_batch():
    signs = SignsOfNormal(torch.zeros(4, 3), torch.eye(3))
    assert (signs.batch_shape, signs.event_shape) == ((4,), (3,))
    assert signs.sample((2,)).shape == (2, 4, 3)
    assert signs.log_prob(signs.sample((2,))).shape == (2, 4)
    assert signs.mean.shape == (4, 3)
