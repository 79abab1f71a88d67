"""What the invertible Gaussian must show beyond the checks that all distributions share."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch.distributions import OneHotCategorical, kl_divergence

import relaxit_torch as rt
from relaxit_reference import InvertibleGaussian
from relaxit_torch.numerics.quadrature import log_prob_of_largest


def spread(seed: int, count: int, ratio: float) -> tuple[torch.Tensor, torch.Tensor]:
    """20 sets of means and scales of `count` normal variables, with `ratio` between the scales."""
    random = np.random.default_rng(seed)
    scale = ratio ** random.uniform(-0.5, 0.5, size=(20, count))
    scale[:, 0], scale[:, -1] = ratio**0.5, ratio**-0.5
    loc = random.normal(size=(20, count)) * scale.max() ** random.random(size=(20, 1))
    return torch.tensor(loc), torch.tensor(scale)


def class_probabilities(distribution: rt.InvertibleGaussian) -> torch.Tensor:
    discrete = distribution.discrete
    assert isinstance(discrete, OneHotCategorical)
    return discrete.probs


@pytest.mark.parametrize(("count", "ratio"), [(1, 1.0), (2, 100.0), (4, 100.0), (3, 1e3)])
def test_class_probabilities_are_integrals_to_12_digits(count: int, ratio: float) -> None:
    loc, scale = spread(1, count, ratio)
    found = class_probabilities(rt.InvertibleGaussian(0.7, loc, scale, delta=2.0))
    expected = InvertibleGaussian(0.7, loc.numpy(), scale.numpy(), delta=2.0).probabilities()
    np.testing.assert_allclose(found.numpy(), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize(("count", "ratio"), [(1, 100.0), (5, 100.0), (50, 1e3), (2000, 100.0)])
def test_class_probabilities_add_up_to_one_by_themselves(count, ratio, dtype) -> None:
    loc, scale = spread(2, count, ratio)
    for shift in (-3.0, 0.0, 3.0):
        total = log_prob_of_largest((loc + shift).to(dtype), scale.to(dtype)).logsumexp(-1)
        # The logarithm of a product of `count` probabilities has so many roundings.
        tolerance = max(1e-12, 20 * count**0.5 * torch.finfo(dtype).eps)
        torch.testing.assert_close(total, torch.zeros_like(total), rtol=0, atol=tolerance)


def test_class_probabilities_of_very_different_scales_are_still_close() -> None:
    total = log_prob_of_largest(*spread(3, 4, 1e6)).exp().sum(-1)
    torch.testing.assert_close(total, torch.ones_like(total), rtol=0, atol=1e-6)


@pytest.mark.parametrize("ratio", [1.0, 100.0])
def test_class_probabilities_are_differentiable_in_every_parameter(ratio: float) -> None:
    loc, scale = (tensor[:3].requires_grad_() for tensor in spread(4, 3, ratio))
    delta = torch.tensor(2.0, dtype=torch.float64, requires_grad=True)
    temperature = torch.tensor([0.1, 1.0, 3.0], dtype=torch.float64, requires_grad=True)

    def probabilities(
        temperature: torch.Tensor, loc: torch.Tensor, scale: torch.Tensor, delta: torch.Tensor
    ) -> torch.Tensor:
        return class_probabilities(
            rt.InvertibleGaussian(temperature, loc, scale, delta, validate_args=False)
        )

    parameters = (temperature, loc, scale, delta)
    assert torch.autograd.gradcheck(probabilities, parameters, eps=1e-7 * ratio**-0.5, atol=1e-5)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64], ids=str)
def test_class_probabilities_far_from_the_threshold_are_zero_and_one_without_nan(dtype) -> None:
    loc = torch.tensor([[100.0, -100.0], [-100.0, -100.0], [0.0, 100.0]], dtype=dtype)
    scale = torch.tensor([0.5, 2.0], dtype=dtype)
    loc, scale = loc.requires_grad_(), scale.requires_grad_()
    probs = class_probabilities(rt.InvertibleGaussian(0.1, loc, scale))
    expected = torch.tensor([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0], [0.0, 1.0, 0.0]], dtype=dtype)
    torch.testing.assert_close(probs, expected, rtol=1e-3, atol=1e-12)
    probs[:, 0].sum().backward()
    for leaf in (loc, scale):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()


def test_one_distribution_by_different_temperatures_and_weights_has_no_divergence_from_itself() -> (
    None
):
    loc, scale = spread(5, 4, 10.0)
    shift = torch.tensor(3.0).double().log()
    first = rt.InvertibleGaussian(0.5, loc, scale, delta=1.0)
    # z / 0.5 = z' / 2 - log 3: the same log-odds, so the same noise has the same value.
    second = rt.InvertibleGaussian(2.0, 4 * loc + 2 * shift, 4 * scale, delta=3.0)
    noise = first.noise((10,))
    torch.testing.assert_close(second.relax(noise), first.relax(noise))
    value = first.sample((10,))
    torch.testing.assert_close(second.log_prob(value), first.log_prob(value))
    zero = torch.zeros(20, dtype=torch.float64)
    torch.testing.assert_close(kl_divergence(first, second), zero, rtol=0, atol=1e-12)
    torch.testing.assert_close(class_probabilities(second), class_probabilities(first))


def test_the_divergence_of_half_precision_is_computed_in_float32() -> None:
    loc, scale = (tensor.half() for tensor in spread(6, 4, 10.0))
    low = kl_divergence(
        rt.InvertibleGaussian(0.5, loc, scale), rt.InvertibleGaussian(2.0, -loc, scale)
    )
    loc, scale = loc.float(), scale.float()
    expected = kl_divergence(
        rt.InvertibleGaussian(0.5, loc, scale), rt.InvertibleGaussian(2.0, -loc, scale)
    )
    assert torch.equal(low, expected.half())


def test_a_large_temperature_gives_each_category_its_weight() -> None:
    distribution = rt.InvertibleGaussian(1e6, torch.tensor([1.0, -2.0]), torch.ones(2), delta=4.0)
    expected = torch.tensor([1.0, 1.0, 4.0]) / 6
    torch.testing.assert_close(distribution.sample(), expected, rtol=1e-4, atol=0.0)


def test_numbers_stay_numbers() -> None:
    distribution = rt.InvertibleGaussian(1, torch.zeros(3, 2), torch.ones(2))
    assert (type(distribution.temperature), type(distribution.delta)) == (float, float)
    assert "delta: 1.0" in repr(distribution.expand((5, 3)))


def test_sizes_that_do_not_agree_are_named() -> None:
    with pytest.raises(ValueError, match=r"one size, but got loc \(2,\), scale \(3,\)"):
        rt.InvertibleGaussian(1.0, torch.zeros(2), torch.ones(3))
