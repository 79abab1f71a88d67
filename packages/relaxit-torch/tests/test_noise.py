"""Noise: the pure maps from integers at their extremes, and the distributions."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy import stats

from relaxit_torch.numerics import noise

WIDTHS = {torch.float32: torch.int32, torch.float64: torch.int64}
MAPS = [noise.uniform_from_integer, noise.gumbel_from_integer, noise.logistic_from_integer]
SAMPLERS = {
    noise.uniform: stats.uniform.cdf,
    noise.gumbel: stats.gumbel_r.cdf,
    noise.logistic: stats.logistic.cdf,
    noise.normal: stats.norm.cdf,
}


def extremes(width: torch.dtype) -> torch.Tensor:
    limits = torch.iinfo(width)
    return torch.tensor(
        [limits.min, limits.min + 1, -1, 0, 1, limits.max - 1, limits.max], dtype=width
    )


@pytest.mark.parametrize("width", WIDTHS.values(), ids=str)
@pytest.mark.parametrize("sampler", MAPS, ids=lambda sampler: sampler.__name__)
def test_every_integer_gives_a_finite_number(sampler, width: torch.dtype) -> None:
    assert torch.isfinite(sampler(extremes(width))).all()


@pytest.mark.parametrize("width", WIDTHS.values(), ids=str)
def test_the_uniform_is_never_0_or_1(width: torch.dtype) -> None:
    drawn = noise.uniform_from_integer(extremes(width))
    assert ((drawn > 0) & (drawn < 1)).all()


@pytest.mark.parametrize(
    ("width", "largest"),
    [(torch.int32, 32 * math.log(2)), (torch.int64, 64 * math.log(2))],
    ids=str,
)
def test_the_upper_gumbel_tail_reaches_as_far_as_the_integer(
    width: torch.dtype, largest: float
) -> None:
    # Half a step of 2^-31 (2^-63) is the smallest U, and -log(-log(1 - U)) = -log U there.
    drawn = noise.gumbel_from_integer(extremes(width)).max()
    assert drawn.item() == pytest.approx(largest, rel=1e-6)


@pytest.mark.parametrize(
    ("width", "largest"),
    [(torch.int32, 33 * math.log(2)), (torch.int64, 65 * math.log(2))],
    ids=str,
)
def test_both_logistic_tails_reach_as_far_as_the_integer(
    width: torch.dtype, largest: float
) -> None:
    drawn = noise.logistic_from_integer(extremes(width))
    assert drawn.max().item() == pytest.approx(largest, rel=1e-6)
    assert drawn.min().item() == pytest.approx(-largest, rel=1e-6)


def test_gumbel_noise_resolves_the_smallest_exponentials() -> None:
    # exp(-g) is Exponential(1): near 0 as uniform as the integers are, in steps of 2^-31.
    steps = torch.arange(200, 210, dtype=torch.int32)
    smallest = torch.exp(-noise.gumbel_from_integer(steps).double())
    expected = (steps.double() + 0.5) * 2.0**-31
    # The logarithm is about 16, and float32 keeps it to 2^-20.
    torch.testing.assert_close(smallest, expected, rtol=2.0**-19, atol=0.0)


@pytest.mark.parametrize("count", [2048, 102_400], ids=["few", "many"])
@pytest.mark.parametrize("dtype", WIDTHS, ids=str)
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_the_distribution_of_the_noise(
    sampler, dtype: torch.dtype, count: int, device: str
) -> None:
    torch.manual_seed(51)
    shape = torch.Size([count])
    draws = range(102_400 // count)
    drawn = torch.cat([sampler(shape, dtype=dtype, device=torch.device(device)) for _ in draws])
    assert drawn.dtype == dtype
    # Fixed seed; a correct sampler alarms with probability 1e-6.
    assert stats.kstest(drawn.double().cpu().numpy(), SAMPLERS[sampler]).pvalue > 1e-6


def test_the_largest_of_many_gumbels_do_not_tie_and_keep_their_distribution(device: str) -> None:
    # The maximum of K Gumbel variables is Gumbel shifted by log K; a tail cut at 16.6 shows here.
    torch.manual_seed(52)
    drawn = noise.gumbel(
        torch.Size([2_000, 20_000]), dtype=torch.float32, device=torch.device(device)
    )
    top = drawn.topk(2, dim=-1).values
    # Neighbours of float32 near 10 are 1e-6 apart and the spacing of the two largest is
    # Exponential(1): a tie has probability 1e-6 in each row, 0.002 in all; the seed is fixed.
    assert (top[:, 0] > top[:, 1]).all()
    maxima = top[:, 0].double().cpu().numpy() - np.log(drawn.shape[-1])
    assert stats.kstest(maxima, stats.gumbel_r.cdf).pvalue > 1e-6


def test_100_000_equal_categories_have_one_winner_at_temperature_1(device: str) -> None:
    # The largest of K equal scores leads by L, P(L > x) = K / (1 + (K - 1) e^x). Ties, or a tail
    # that ends too early, shrink the lead as a lower temperature would stretch it.
    torch.manual_seed(53)
    categories, leads, winners = 100_000, [], []
    for _ in range(40):
        shape = torch.Size([25, categories])
        drawn = noise.gumbel(shape, dtype=torch.float32, device=torch.device(device))
        top = drawn.topk(2, dim=-1)
        leads.append((top.values[:, 0] - top.values[:, 1]).double().cpu())
        winners.append(top.indices[:, 0].cpu())
    lead = torch.cat(leads).numpy()
    assert (lead > 0).all()
    leads_test = stats.kstest(lead, lambda x: 1 - categories / (1 + (categories - 1) * np.exp(x)))
    even = stats.kstest(torch.cat(winners).numpy() / categories, stats.uniform.cdf)
    # Fixed seed; a correct sampler alarms with probability 1e-6 in each.
    assert leads_test.pvalue > 1e-6
    assert even.pvalue > 1e-6


@pytest.mark.usefixtures("fresh_compiler")
def test_compiled_code_has_no_guard_on_the_number_of_draws() -> None:
    def draw(x: torch.Tensor) -> torch.Tensor:
        return x + noise.gumbel(x.shape, dtype=torch.float32, device=x.device)

    compiled = torch.compile(draw, fullgraph=True, backend="aot_eager")
    x = torch.zeros(8, 16)
    torch._dynamo.mark_dynamic(x, 0, min=2, max=100_000)
    assert compiled(x).isfinite().all()


@pytest.mark.parametrize("count", [1_000, 10_000])
def test_float16_noise_is_finite(count: int, device: str) -> None:
    for sampler in SAMPLERS:
        drawn = sampler(torch.Size([count]), dtype=torch.float16, device=torch.device(device))
        assert drawn.dtype == torch.float16
        assert torch.isfinite(drawn).all()


@pytest.mark.parametrize("count", [2048, 2049], ids=["few", "many"])
@pytest.mark.parametrize("sampler", SAMPLERS, ids=lambda sampler: sampler.__name__)
def test_vmap_draws_noise_of_its_own_for_each_element(sampler, count: int) -> None:
    def draw(x: torch.Tensor) -> torch.Tensor:
        return x + sampler(torch.Size([count]), dtype=torch.float32, device=torch.device("cpu"))

    drawn = torch.func.vmap(draw, randomness="different")(torch.zeros(2))
    assert drawn.shape == (2, count)
    assert torch.isfinite(drawn).all()
    assert (drawn[0] != drawn[1]).float().mean() > 0.99
