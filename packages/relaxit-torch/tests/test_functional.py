"""Functions of logits: Gumbel-Softmax as torch calls it, and top-k by soft masks."""

from __future__ import annotations

import math
from functools import partial

import pytest
import torch
from torch import Tensor

import relaxit_torch as rt
from relaxit_torch.functional import _soft_top_k, gumbel_softmax, relaxed_top_k
from relaxit_torch.numerics import noise

LOGITS = torch.tensor([0.5, -1.0, 0.2, 1.5], dtype=torch.float64)


@pytest.fixture
def same_noise(monkeypatch, device):
    """`same_noise(shape)`: what every draw of Gumbel noise of that shape returns from now on."""

    def same_noise(*shape: int, dtype=torch.float64) -> Tensor:
        drawn = noise.gumbel(torch.Size(shape), dtype=dtype, device=torch.device(device))
        monkeypatch.setattr(noise, "gumbel", lambda shape, **_: drawn.reshape(shape))
        return drawn

    return same_noise


# Gumbel-Softmax.


@pytest.mark.parametrize("hard", [False, True])
def test_gumbel_softmax_is_the_map_of_the_distribution(hard: bool, same_noise) -> None:
    logits = LOGITS.expand(5, 4).clone().requires_grad_()
    drawn = same_noise(5, 4)
    found = gumbel_softmax(logits, 0.5, hard)
    expected = rt.GumbelSoftmax(0.5, logits=logits, hard=hard).relax(drawn)
    torch.testing.assert_close(found, expected)
    weights = torch.linspace(1, 2, 20, dtype=torch.float64).view(5, 4)
    torch.testing.assert_close(
        torch.autograd.grad((found * weights).sum(), logits),
        torch.autograd.grad((expected * weights).sum(), logits),
    )


@pytest.mark.parametrize("dim", [0, 1, -3, 2])
@pytest.mark.parametrize("hard", [False, True])
def test_the_categories_may_lie_in_any_dimension(hard: bool, dim: int, same_noise) -> None:
    logits = torch.randn(3, 4, 5, dtype=torch.float64)
    drawn = same_noise(3, 4, 5)
    found = gumbel_softmax(logits, 0.5, hard, dim)
    last = rt.GumbelSoftmax(0.5, logits=logits.movedim(dim, -1), hard=hard)
    torch.testing.assert_close(found.movedim(dim, -1), last.relax(drawn.movedim(dim, -1)))


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        ((), {}),
        ((0.5,), {}),
        ((0.5, True), {}),
        ((), {"hard": True}),
        ((), {"hard": True, "dim": 0}),
        ((2,), {"hard": False, "dim": 1}),
    ],
)
def test_calls_of_the_function_of_torch_mean_the_same(arguments, options, device: str) -> None:
    logits = torch.randn(3, 4, device=device)
    found = gumbel_softmax(logits, *arguments, **options)
    expected = torch.nn.functional.gumbel_softmax(logits, *arguments, **options)
    assert (found.shape, found.dtype) == (expected.shape, expected.dtype)
    dim = options.get("dim", -1)
    torch.testing.assert_close(found.sum(dim), expected.sum(dim))
    assert rt.constraints.boolean.check(found).all() == rt.constraints.boolean.check(expected).all()


def test_the_default_temperature_is_the_one_of_torch(same_noise) -> None:
    drawn = same_noise(4)
    torch.testing.assert_close(gumbel_softmax(LOGITS), torch.softmax(LOGITS + drawn, -1))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_is_float32_rounded_once(dtype, same_noise) -> None:
    logits = LOGITS.to(dtype)
    drawn = same_noise(1000, 4, dtype=torch.float32)
    found = gumbel_softmax(logits.expand(1000, 4), 0.7)
    assert found.dtype == dtype
    assert torch.equal(found, torch.softmax((logits.float() + drawn) / 0.7, -1).to(dtype))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_hard_samples_have_the_categorical_distribution_in_every_precision(
    dtype, device: str
) -> None:
    # At temperature 100 the relaxed values of low precision are tied in nearly all samples.
    logits = LOGITS.to(device=device, dtype=dtype)
    draws = 200_000
    choice = gumbel_softmax(logits.expand(draws, 4), 100.0, hard=True)
    assert rt.constraints.one_hot.check(choice).all()
    expected = torch.softmax(logits.double(), -1)
    error = choice.double().mean(0) - expected
    # 5 standard errors: 4 x 4 comparisons, a false alarm in 1 of 10^5 seeds.
    assert (error.abs() < 5 * (expected * (1 - expected) / draws).sqrt()).all()


@pytest.mark.parametrize("function", [gumbel_softmax, lambda *a: relaxed_top_k(a[0], 2, a[1])])
@pytest.mark.parametrize("dtype", [torch.float16, torch.float32])
def test_an_impossible_category_gets_0_and_spoils_no_gradient(function, dtype, device) -> None:
    logits = torch.tensor([[0.0, -torch.inf, 1.0, -torch.inf, 2.0]], dtype=dtype, device=device)
    logits = logits.repeat(100, 1).requires_grad_()
    temperature = torch.full((100, 1), 0.3, device=device, requires_grad=True)
    found = function(logits, temperature)
    assert (found[:, 1::2] == 0).all()
    (found * torch.arange(5.0, device=device)).sum().backward()
    for leaf in (logits, temperature):
        assert leaf.grad is not None
        assert leaf.grad.isfinite().all()
        assert leaf.grad.any()
    assert logits.grad is not None
    assert (logits.grad[:, 1::2] == 0).all()


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize(
    "function",
    [
        pytest.param(gumbel_softmax, id="gumbel_softmax"),
        pytest.param(partial(gumbel_softmax, hard=True), id="gumbel_softmax, hard"),
        pytest.param(partial(relaxed_top_k, k=2), id="relaxed_top_k"),
    ],
)
def test_autocast_lowers_nothing(function, dtype: torch.dtype) -> None:
    def value_and_gradient(enabled: bool) -> tuple[Tensor, Tensor]:
        torch.manual_seed(1)
        logits = torch.randn(5, 4).requires_grad_()
        with torch.autocast("cpu", dtype, enabled=enabled):
            value = function(logits)
            (value * torch.arange(4.0)).sum().backward()
        assert logits.grad is not None
        return value.detach(), logits.grad

    for found, expected in zip(value_and_gradient(True), value_and_gradient(False), strict=True):
        assert torch.equal(found, expected)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_bad_temperature_is_refused(temperature: float) -> None:
    with pytest.raises(ValueError, match="temperature must be positive and finite, but got"):
        gumbel_softmax(LOGITS, temperature)


def test_integers_are_refused_as_logits() -> None:
    with pytest.raises(TypeError, match=r"logits must be floating-point numbers, .* torch.int64"):
        gumbel_softmax(torch.arange(3))


# Top-k by soft masks.


def by_the_paper(scores: Tensor, k: int, temperature: float) -> Tensor:
    """Algorithm 2 of Xie and Ermon as it is written."""
    khot, alpha = torch.zeros_like(scores), scores
    for _ in range(k):
        share = torch.softmax(alpha / temperature, -1)
        khot, alpha = khot + share, alpha + torch.log(1 - share)
    return khot


@pytest.mark.parametrize("k", [1, 2, 3, 4])
@pytest.mark.parametrize("temperature", [0.3, 1.0, 5.0])
def test_relaxed_top_k_is_the_algorithm_of_the_paper(k: int, temperature, same_noise) -> None:
    drawn = same_noise(1000, 4)
    found = relaxed_top_k(LOGITS.expand(1000, 4), k, temperature)
    # 1 - share loses 1e-16 / (1 - share), which the next row divides by the temperature.
    torch.testing.assert_close(
        found, by_the_paper(LOGITS + drawn, k, temperature), rtol=1e-9, atol=1e-9
    )
    torch.testing.assert_close(found.sum(-1), torch.full((1000,), float(k), dtype=torch.float64))


def test_relaxed_top_k_takes_any_dimension(same_noise) -> None:
    drawn = same_noise(4, 6)
    found = relaxed_top_k(LOGITS[:, None].expand(4, 6), 2, 0.5, dim=0)
    expected = by_the_paper((LOGITS[:, None] + drawn).T, 2, 0.5).T
    torch.testing.assert_close(found, expected, rtol=1e-9, atol=1e-9)


def test_at_temperature_0_relaxed_top_k_draws_without_replacement(same_noise) -> None:
    drawn = same_noise(10_000, 4)
    found = relaxed_top_k(LOGITS.expand(10_000, 4), 2, 1e-3)
    exact = torch.zeros_like(found).scatter(-1, (LOGITS + drawn).topk(2, -1).indices, 1.0)
    # Two scores are closer than 0.05 in a few percent of all draws.
    assert ((found - exact).abs().amax(-1) < 1e-6).double().mean() > 0.95


def relaxed_objective(logits: Tensor, k: int, temperature: float, khot) -> Tensor:
    """The mean over the noise of a smooth function of the k-hot vector, by quadrature.

    Only differences of the noise matter. The differences of three Gumbel variables have the density
    `2 e^-x e^-y / (1 + e^-x + e^-y)^3`; its tails beyond 40 are below 1e-17.
    """
    step = 0.1
    places = torch.arange(-40, 40, step, dtype=torch.float64)
    x, y = torch.meshgrid(places, places, indexing="ij")
    normaliser = torch.stack([torch.zeros_like(x), -x, -y]).logsumexp(0)
    density = 2 * torch.exp(-x - y - 3 * normaliser) * step**2
    scores = logits + torch.stack([x, y, torch.zeros_like(x)], -1)
    value = khot(scores, k, temperature)
    weights = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    return (density * (value @ weights).tanh()).sum()


def by_soft_masks(scores: Tensor, k: int, temperature: float) -> Tensor:
    return _soft_top_k(scores, k, temperature, dim=-1)


def by_hard_masks(scores: Tensor, k: int, temperature: float) -> Tensor:
    zeros = torch.zeros_like(scores)
    return rt.GumbelSoftmaxTopK(k, temperature, logits=zeros).relax(scores).sum(-2)


def gradient_and_slope(khot) -> tuple[Tensor, Tensor]:
    """The mean of the pathwise gradients, and central differences of the objective."""
    logits = torch.tensor([0.4, -0.3, 0.1], dtype=torch.float64, requires_grad=True)
    objective = relaxed_objective(logits, 2, 0.7, khot)
    (gradient,) = torch.autograd.grad(objective, logits)
    step, unit = 0.02, torch.eye(3, dtype=torch.float64)
    with torch.no_grad():
        slopes = []
        for direction in unit:
            near, far = (
                (
                    relaxed_objective(logits + width * direction, 2, 0.7, khot)
                    - relaxed_objective(logits - width * direction, 2, 0.7, khot)
                )
                / (2 * width)
                for width in (step, 2 * step)
            )
            slopes.append((4 * near - far) / 3)  # Richardson: an error of the order of step^4
    return gradient, torch.stack(slopes)


def test_the_pathwise_gradient_of_soft_masks_is_the_gradient_of_their_objective() -> None:
    gradient, slope = gradient_and_slope(by_soft_masks)
    assert gradient.abs().min() > 0.01
    # step^4 is 1.6e-7.
    torch.testing.assert_close(gradient, slope, rtol=1e-6, atol=1e-6)


def test_the_comparison_of_gradients_sees_the_bias_of_hard_masks() -> None:
    gradient, slope = gradient_and_slope(by_hard_masks)
    assert (gradient - slope).abs().max() > 0.02


def test_samples_of_relaxed_top_k_have_the_mean_of_the_objective() -> None:
    logits = torch.tensor([0.4, -0.3, 0.1], dtype=torch.float64)
    weights = torch.tensor([0.3, -1.0, 2.0], dtype=torch.float64)
    values = (relaxed_top_k(logits.expand(200_000, 3), 2, 0.7) @ weights).tanh()
    error = values.mean() - relaxed_objective(logits, 2, 0.7, by_soft_masks)
    # 5 standard errors: a false alarm in 1 of 10^6 seeds.
    assert error.abs() < 5 * values.std() / math.sqrt(len(values))


def test_soft_masks_do_not_jump_where_the_largest_score_changes() -> None:
    gaps = torch.tensor([-1e-9, 1e-9], dtype=torch.float64)
    scores = torch.stack([gaps, torch.zeros(2).double(), torch.full((2,), -1.0).double()], -1)
    soft, hard = by_soft_masks(scores, 2, 0.5), by_hard_masks(scores, 2, 0.5)
    assert (soft[0] - soft[1]).abs().max() < 1e-7
    assert (hard[0] - hard[1]).abs().max() > 0.1


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
@pytest.mark.parametrize("temperature", [1e-3, 0.01, 0.1, 10.0])
def test_relaxed_top_k_is_safe_where_rows_saturate(dtype, temperature, device: str) -> None:
    logits = torch.linspace(-50, 50, 8, dtype=dtype, device=device)
    for row in (logits, logits.flip(0), logits.clamp(-1, 1), torch.zeros_like(logits)):
        leaf = row.repeat(500, 1).requires_grad_()
        khot = relaxed_top_k(leaf, 4, temperature)
        assert khot.isfinite().all()
        # Rounding of each of 8 entries, of a size up to 4.
        assert ((khot.double().sum(-1) - 4).abs() < 16 * torch.finfo(dtype).eps).all()
        (khot * torch.arange(8.0, device=device).to(dtype)).sum().backward()
        assert leaf.grad is not None
        assert not leaf.grad.isnan().any()


def test_all_categories_are_taken_where_k_is_their_number() -> None:
    khot = relaxed_top_k(torch.tensor([[80.0, 0.0, -80.0]]).repeat(100, 1), 3, 0.01)
    torch.testing.assert_close(khot, torch.ones(100, 3))


@pytest.mark.parametrize(
    ("k", "words"),
    [
        (0, "k must be an integer of at least 1, but got 0"),
        (1.5, "k must be an integer of at least 1, but got 1.5"),
        (5, "k must be at most the number of categories, 4, but got 5"),
    ],
)
def test_bad_counts_are_refused(k, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        relaxed_top_k(LOGITS, k)
