"""Special functions against SciPy, and their gradients where they end."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.special
import torch

from relaxit_torch import special
from relaxit_torch.straight_through import straight_through

DTYPES = [torch.float32, torch.float64]


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.bfloat16], ids=str)
def test_log_interior_counts_the_ends_as_their_neighbours(dtype: torch.dtype) -> None:
    limits = torch.finfo(dtype)
    ends = torch.tensor([0.0, 1.0])
    if dtype == torch.float64:
        ends = ends.double()
    assert special.log_interior(ends, dtype)[0].item() == pytest.approx(
        math.log(limits.tiny) + math.log(limits.eps), rel=1e-6
    )
    assert special.below_one(ends, dtype)[1].item() == 1 - limits.eps / 2


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_gradient_of_log_interior_is_that_of_log_or_zero_but_never_infinite(
    dtype: torch.dtype,
) -> None:
    limits = torch.finfo(dtype)
    value = torch.tensor([0.0, limits.tiny, 1e-20, 0.5, 1.0], dtype=dtype, requires_grad=True)
    (gradient,) = torch.autograd.grad(special.log_interior(value, dtype).sum(), value)
    expected = torch.tensor([0.0, 0.0, 1e20, 2.0, 1.0], dtype=dtype)
    torch.testing.assert_close(gradient, expected, rtol=4 * limits.eps, atol=0.0)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_log_softmax_keeps_the_logarithm_of_what_is_nearly_certain(dtype: torch.dtype) -> None:
    scores = torch.tensor(
        [[0.0, -40.0, -60.0], [3.0, 3.0, 3.0], [5.0, -math.inf, 4.0]], dtype=dtype
    )
    wide = scores.double().numpy()
    with np.errstate(invalid="ignore"):
        expected = -scipy.special.logsumexp(wide[:, None, :] - wide[:, :, None], axis=-1)
    expected[2, 1] = -np.inf
    np.testing.assert_allclose(
        special.log_softmax(scores).double(), expected, rtol=8 * torch.finfo(dtype).eps
    )


def test_log_softmax_has_the_derivatives_of_log_softmax() -> None:
    scores = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(special.log_softmax, scores)
    assert torch.autograd.gradgradcheck(special.log_softmax, scores)


@pytest.mark.parametrize("dtype", [*DTYPES, torch.float16, torch.bfloat16], ids=str)
def test_straight_through_is_exactly_hard_with_the_gradient_of_soft(dtype: torch.dtype) -> None:
    soft = torch.linspace(0, 1, 10_001).to(dtype).requires_grad_()
    for hard in (torch.zeros_like(soft), torch.ones_like(soft)):
        value = straight_through(hard, soft)
        assert torch.equal(value, hard)
        (gradient,) = torch.autograd.grad(value.sum(), soft)
        assert torch.equal(gradient, torch.ones_like(soft))
