"""Kullback-Leibler divergences against the reference's samples, and where they must refuse."""

from __future__ import annotations

import mpmath
import numpy as np
import pytest
import torch
from pyro.distributions import Delta
from torch.distributions import Bernoulli, Normal, OneHotCategorical, kl_divergence

import relaxit_torch as rt
from parametrisation import each_spec
from relaxit_reference import Spec
from relaxit_reference.testing import strategies

SAMPLES = 200_000


def pair(spec: Spec, seed: int, batch_shape: tuple[int, ...] = ()) -> tuple[dict, dict]:
    """Parameters of two distributions, which share what the divergence needs equal."""
    random = np.random.default_rng(seed)
    first, second = (
        strategies.random_parameters(spec, random, ranges=spec.moderate, batch_shape=batch_shape)
        for _ in range(2)
    )
    return first, {**second, **{k: v for k, v in first.items() if k in spec.kl_needs_equal}}


@pytest.mark.parametrize("seed", [71, 72])
@each_spec
def test_kl_is_the_mean_of_the_log_ratio(seed: int, spec: Spec, build) -> None:
    if "kl" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the kl")
    first, second = pair(spec, seed)
    p = spec.reference_class(**first, **spec.arguments)
    q = spec.reference_class(**second, **spec.arguments)
    x = p.rvs(SAMPLES, random_state=seed)
    ratio = p.logpdf(x) - q.logpdf(x)
    found = kl_divergence(build(spec, first), build(spec, second)).item()
    # A normal deviate exceeds 5.5 with probability 4e-8; the seeds are fixed.
    assert abs(ratio.mean() - found) <= 5.5 * ratio.std() / SAMPLES**0.5 + 1e-12


@each_spec
def test_kl_is_zero_of_a_distribution_with_itself_and_positive_otherwise(spec: Spec, build) -> None:
    if "kl" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the kl")
    first, second = pair(spec, 73, (20,))
    p, q = build(spec, first), build(spec, second)
    # Sums of some ten terms of size 10.
    torch.testing.assert_close(
        kl_divergence(p, p), torch.zeros(20, dtype=p.dtype, device=p.device), rtol=0, atol=1e-12
    )
    assert (kl_divergence(p, q) > 0).all()


@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
@each_spec
def test_kl_of_low_precision_is_float32_rounded_once(precision: str, spec: Spec, build) -> None:
    if "kl" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the kl")
    low = [build(spec, given, precision, validate_args=False) for given in pair(spec, 75, (20,))]
    raised = [distribution._in_float32() for distribution in low]
    found = kl_divergence(*low)
    assert found.dtype == getattr(torch, precision)
    torch.testing.assert_close(found, kl_divergence(*raised).to(found.dtype), rtol=0, atol=0)


@each_spec
def test_kl_needs_equal_parameters_where_the_specification_says_so(spec: Spec, build) -> None:
    if not spec.kl_needs_equal:
        pytest.skip(f"the kl of {spec} needs no parameters to be equal")
    first, second = pair(spec, 74)
    for name in set(spec.kl_needs_equal) & set(first):
        other = {**second, name: first[name] * 1.1}
        with pytest.raises(NotImplementedError, match="is exact for equal"):
            kl_divergence(build(spec, first), build(spec, other))


@pytest.mark.parametrize("distribution", [rt.BinaryConcrete, rt.LogitBinaryConcrete])
def test_kl_has_two_derivatives_where_its_formula_changes(distribution) -> None:
    other = torch.zeros(7, dtype=torch.float64)
    logits = torch.tensor([-1.0, -0.5, -0.25, 0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    logits.requires_grad_()

    def divergence(logits):
        return kl_divergence(distribution(0.5, logits=logits), distribution(0.5, logits=other))

    assert torch.autograd.gradcheck(divergence, logits)
    assert torch.autograd.gradgradcheck(divergence, logits)
    # The second derivative, at equal distributions, is the Fisher information of a logistic
    # location: 1/3.
    (first,) = torch.autograd.grad(divergence(logits).sum(), logits, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), logits)
    assert second[3].item() == pytest.approx(1 / 3)


def test_kl_of_two_categories_is_the_kl_of_their_log_odds() -> None:
    p = torch.tensor([[0.0, 1.5], [0.0, -7.0], [0.0, 0.1]], dtype=torch.float64)
    q = torch.tensor([[0.0, -0.5], [0.0, 30.0], [0.0, 0.1 + 1e-4]], dtype=torch.float64)
    categories = kl_divergence(rt.GumbelSoftmax(0.5, logits=p), rt.GumbelSoftmax(0.5, logits=q))
    binary = kl_divergence(
        rt.BinaryConcrete(0.5, logits=p[:, 1]), rt.BinaryConcrete(0.5, logits=q[:, 1])
    )
    # The sum of some ten terms of size up to 40 leaves 1e-13 of an absolute rounding error.
    torch.testing.assert_close(categories, binary, rtol=1e-12, atol=1e-13)


def test_kl_of_binary_concrete_is_accurate_near_and_far() -> None:
    difference = torch.tensor([1e-6, 0.3, 0.5, 0.7, 20.0, 300.0], dtype=torch.float64)
    distribution = rt.BinaryConcrete(0.5, logits=torch.zeros(6, dtype=torch.float64))
    found = kl_divergence(distribution, rt.BinaryConcrete(0.5, logits=difference))
    with mpmath.workdps(40):
        exact = [mpmath.mpf(d) * mpmath.coth(mpmath.mpf(d) / 2) - 2 for d in difference.tolist()]
    expected = [float(value) for value in exact]
    torch.testing.assert_close(
        found, torch.tensor(expected, dtype=torch.float64), rtol=1e-13, atol=0.0
    )


def test_impossible_categories_are_left_out_or_make_it_infinite() -> None:
    p = rt.GumbelSoftmax(0.5, logits=torch.tensor([0.0, 1.0, -torch.inf]))
    q = rt.GumbelSoftmax(0.5, logits=torch.tensor([1.0, 0.0, -torch.inf]))
    smaller = kl_divergence(
        rt.GumbelSoftmax(0.5, logits=torch.tensor([0.0, 1.0])),
        rt.GumbelSoftmax(0.5, logits=torch.tensor([1.0, 0.0])),
    )
    torch.testing.assert_close(kl_divergence(p, q), smaller)
    wider = rt.GumbelSoftmax(0.5, logits=torch.zeros(3))
    assert kl_divergence(p, wider).item() == torch.inf


def test_hard_distributions_are_compared_with_discrete_ones_in_either_place() -> None:
    logits = torch.tensor([0.5, -1.0])
    expected = kl_divergence(Bernoulli(logits=logits), Bernoulli(0.5))
    for distribution in (
        rt.BinaryConcrete(0.5, logits=logits, hard=True),
        rt.StraightThroughBernoulli(logits=logits),
    ):
        torch.testing.assert_close(kl_divergence(distribution, Bernoulli(0.5)), expected)
        reverse = kl_divergence(Bernoulli(0.5), Bernoulli(logits=logits))
        torch.testing.assert_close(kl_divergence(Bernoulli(0.5), distribution), reverse)
        other = rt.StraightThroughBernoulli(torch.tensor(0.5))
        torch.testing.assert_close(kl_divergence(distribution, other), expected)
    uniform = OneHotCategorical(torch.ones(2))
    hard = rt.GumbelSoftmax(0.5, logits=logits, hard=True)
    expected = kl_divergence(OneHotCategorical(logits=logits), uniform)
    torch.testing.assert_close(kl_divergence(hard, uniform), expected)


def test_kl_of_a_point_mass_is_minus_its_log_density() -> None:
    distribution = rt.BinaryConcrete(0.5, 0.3)
    point = torch.tensor(0.4)
    torch.testing.assert_close(
        kl_divergence(Delta(point), distribution), -distribution.log_prob(point)
    )


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (rt.BinaryConcrete(0.5, 0.5), Bernoulli(0.5)),
        (rt.BinaryConcrete(0.5, 0.5), rt.BinaryConcrete(0.5, 0.5, hard=True)),
        (rt.BinaryConcrete(0.5, 0.5), rt.LogitBinaryConcrete(0.5, 0.5)),
        (rt.HardConcrete(logits=0.0), rt.HardConcrete(logits=0.0)),
        (rt.StochasticTimesSmooth(0.5), Bernoulli(0.5)),
        (Normal(0.0, 1.0), rt.LogitBinaryConcrete(0.5, 0.5)),
    ],
    ids=lambda distribution: repr(distribution),
)
def test_a_pair_without_an_exact_form_says_what_to_use(p, q) -> None:
    with pytest.raises(NotImplementedError, match="rsample_and_log_prob"):
        kl_divergence(p, q)
