"""Gumbel-Rao and decoupled temperatures against straight-through Gumbel-Softmax."""

from __future__ import annotations

import pytest
import torch
from scipy import stats
from torch import Tensor

import relaxit_torch as rt
from relaxit_reference.testing.statistics import ALARM_RATE
from relaxit_torch.distributions.gumbel_rao import perturbed_given
from relaxit_torch.numerics import noise

LOGITS = torch.tensor([0.4, -1.2, 0.9], dtype=torch.float64)
WEIGHTS = torch.tensor([0.3, 2.0, -1.0], dtype=torch.float64)


def gradients(make, draws: int, logits: Tensor = LOGITS) -> Tensor:
    """`d b^T W b / d logits` of single draws, a function that straight-through gradients miss."""
    leaf = logits.expand(draws, -1).clone().requires_grad_()
    value = make(leaf).rsample()
    return torch.autograd.grad(((value @ WEIGHTS) ** 2).sum(), leaf)[0]


def gumbel_noise(draws: int) -> Tensor:
    return noise.gumbel(torch.Size((draws, 3)), dtype=torch.float64, device=torch.device("cpu"))


def assert_same_mean(first: Tensor, second: Tensor) -> None:
    """Compares the means of two sets of draws `(draws, K)`, with 1 false alarm in a million."""
    limit = stats.norm.isf(ALARM_RATE / (2 * first.shape[-1]))
    stderr = (first.var(0) / len(first) + second.var(0) / len(second)).sqrt()
    assert ((first.mean(0) - second.mean(0)).abs() <= limit * stderr).all()


@pytest.mark.parametrize("temperature", [0.3, 1.0])
@pytest.mark.parametrize("logits", [LOGITS, torch.tensor([0.4, -torch.inf, 0.9]).double()])
def test_the_mean_gradient_equals_straight_through_gumbel_softmax(
    temperature: float, logits: Tensor
) -> None:
    draws = 100_000
    one = gradients(
        lambda leaf: rt.GumbelSoftmax(temperature, logits=leaf, hard=True), draws, logits
    )
    many = gradients(
        lambda leaf: rt.GumbelRao(temperature, logits=leaf, samples=20), draws // 4, logits
    )
    assert_same_mean(one, many)
    assert many.var(0).sum() < 0.95 * one.var(0).sum()


def test_one_draw_has_the_variance_of_straight_through_gumbel_softmax() -> None:
    """Given the category, the noise of one draw has the distribution of the noise that chose it."""
    draws = 100_000
    one = gradients(lambda leaf: rt.GumbelSoftmax(0.5, logits=leaf, hard=True), draws)
    rao = gradients(lambda leaf: rt.GumbelRao(0.5, logits=leaf, samples=1), draws)
    for i in range(3):
        assert stats.ks_2samp(one[:, i], rao[:, i]).pvalue > ALARM_RATE / 3


def test_scores_given_the_choice_are_those_that_chose_it() -> None:
    torch.manual_seed(1)
    log_probs = LOGITS.log_softmax(-1)
    scores = log_probs + gumbel_noise(200_000)
    for k in range(3):
        choice = torch.eye(3, dtype=torch.float64)[k]
        chosen = scores[scores.argmax(-1) == k]
        given = perturbed_given(choice, log_probs, gumbel_noise(20_000))
        assert (given.argmax(-1) == k).all()
        for i in range(3):
            assert stats.ks_2samp(chosen[:, i], given[:, i]).pvalue > ALARM_RATE / 9


def test_the_noise_given_the_choice_is_a_constant_of_the_backward_pass() -> None:
    """The backward pass is the one of softmax, with the noise given the category held fixed."""
    leaf = LOGITS.clone().requires_grad_()
    distribution = rt.GumbelRao(0.6, logits=leaf, samples=4)
    noise = distribution.noise()
    value = distribution.relax(noise)
    held = perturbed_given(value.detach(), LOGITS.log_softmax(-1), noise[1:]) - LOGITS
    soft = ((leaf + held) / 0.6).softmax(-1).mean(0)
    (found,) = torch.autograd.grad(value @ WEIGHTS, leaf)
    (expected,) = torch.autograd.grad(soft @ WEIGHTS, leaf)
    torch.testing.assert_close(found, expected, rtol=1e-13, atol=1e-14)


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("temperatures", [(0.3, 2.0), (2.0, 0.3)])
def test_the_value_is_of_one_temperature_and_the_gradient_of_the_other(
    hard: bool, temperatures: tuple[float, float]
) -> None:
    forward, backward = temperatures
    leaf = LOGITS.expand(50, 3).clone().requires_grad_()
    decoupled = rt.GumbelSoftmax(forward, logits=leaf, hard=hard, backward_temperature=backward)
    noise, weights = decoupled.noise(), torch.randn(50, 3, dtype=torch.float64)
    value = decoupled.relax(noise)
    at = {t: rt.GumbelSoftmax(t, logits=leaf, hard=hard).relax(noise) for t in temperatures}
    assert torch.equal(value, at[forward])
    found, expected, other = (
        torch.autograd.grad((each * weights).sum(), leaf)[0]
        for each in (value, at[backward], at[forward])
    )
    torch.testing.assert_close(found, expected, rtol=1e-14, atol=1e-15)
    assert not torch.allclose(found, other, rtol=0.1)


def test_the_density_belongs_to_the_value() -> None:
    decoupled = rt.GumbelSoftmax(0.7, logits=LOGITS, backward_temperature=3.0)
    coupled = rt.GumbelSoftmax(0.7, logits=LOGITS)
    value = coupled.sample((20,))
    assert torch.equal(decoupled.log_prob(value), coupled.log_prob(value))
    divergence = torch.distributions.kl_divergence(decoupled, coupled)
    torch.testing.assert_close(divergence, torch.zeros_like(divergence), rtol=0, atol=1e-12)


def test_without_a_backward_temperature_nothing_is_decoupled() -> None:
    distribution = rt.GumbelSoftmax(0.7, logits=LOGITS)
    assert distribution.backward_temperature is None
    with pytest.raises(TypeError):
        rt.GumbelSoftmax(0.7, None, LOGITS, False, None, 3.0)  # type: ignore[call-arg]  # one too many
