"""Ordered samples without replacement: what the generic checks with `k = 2` cannot show."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from scipy.special import softmax

from relaxit_reference import GumbelSoftmaxTopK, PlackettLuce
from relaxit_reference.rows import RowsChart

LOGITS = np.array([0.3, -1.0, 2.0, 0.1, -0.4])


@pytest.mark.parametrize("k", range(1, 6))
def test_probabilities_are_products_of_those_of_the_draws(k: int) -> None:
    pi, distribution = softmax(LOGITS), PlackettLuce(k, logits=LOGITS)
    for choice in itertools.permutations(range(5), k):
        shares = [pi[i] / (1 - pi[list(choice[:j])].sum()) for j, i in enumerate(choice)]
        np.testing.assert_allclose(
            distribution.discrete_pmf(np.eye(5)[list(choice)]), np.prod(shares)
        )
    np.testing.assert_allclose(distribution.discrete_pmf(distribution.states()).sum(), 1)
    assert np.all(
        distribution.discrete_pmf(distribution.states())
        <= distribution.discrete_pmf(distribution.mode())
    )


def test_what_is_no_arrangement_has_probability_zero() -> None:
    distribution = PlackettLuce(2, logits=[0.0, 1.0, -np.inf])
    rows = np.eye(3)[[[0, 0], [0, 2], [0, 1]]]
    assert np.isneginf(distribution.logpdf(rows)).tolist() == [True, True, False]


@pytest.mark.parametrize("k", [0, 1.5])
def test_a_count_that_is_none_is_refused(k: Any) -> None:
    with pytest.raises(ValueError, match="k must be an integer of at least 1"):
        PlackettLuce(k, logits=LOGITS)


def test_as_many_categories_must_be_possible_as_are_drawn() -> None:
    with pytest.raises(ValueError, match=r"logits must be .* with at least 3 finite entries"):
        PlackettLuce(3, logits=[0.0, 1.0, -np.inf])
    with pytest.raises(ValueError, match=r"probs must be .* of at least 3 positive entries"):
        GumbelSoftmaxTopK(3, 1.0, probs=[0.5, 0.5, 0.0, 0.0])


@pytest.mark.parametrize("independent", [False, True])
@pytest.mark.parametrize("k", [1, 2, 3, 4])
def test_coordinates_go_to_rows_and_back(k: int, independent: bool) -> None:
    chart = RowsChart(k, 4, independent)
    free = chart.chart_dim((k, 4))
    assert free == (sum(range(4 - k, 4)) if independent else 3)
    coordinates = np.random.default_rng(0).normal(size=(100, free))
    rows = chart.from_chart(coordinates)
    np.testing.assert_allclose(rows.sum(-1), 1)
    np.testing.assert_array_equal((rows == 0).sum(-1), np.tile(np.arange(k), (100, 1)))
    np.testing.assert_allclose(chart.to_chart(rows), coordinates, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_density_is_zero_where_rows_do_not_follow_from_the_first(dtype: str) -> None:
    distribution = GumbelSoftmaxTopK(3, 0.05, logits=LOGITS)
    rows = distribution.rvs(1_000, random_state=0).astype(dtype).astype(np.float64)
    assert np.all(np.isfinite(distribution.logpdf(rows, dtype)))
    other = distribution.rvs(1_000, random_state=1)
    assert np.all(
        np.isneginf(distribution.logpdf(np.where([[True], [False], [True]], rows, other), dtype))
    )
