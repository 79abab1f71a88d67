"""Where scores are greatest, and which of equal ones."""

from __future__ import annotations

import pytest
import torch

from relaxit_torch.numerics import top_k


@pytest.mark.parametrize("dim", [0, 1, -1])
def test_hardmax_is_the_first_of_equal_entries(dim: int) -> None:
    values = torch.tensor([[1.0, 3.0, 3.0], [2.0, 3.0, -torch.inf], [2.0, 0.0, 3.0]])
    expected = torch.nn.functional.one_hot(values.argmax(dim), 3).float()
    found = top_k.hardmax(values.requires_grad_(), dim)
    assert torch.equal(found, expected if dim else expected.T)
    assert not found.requires_grad
    assert torch.equal(top_k.argmax(values, dim), values.argmax(dim, keepdim=True))


@pytest.mark.parametrize("categories", [2, 9, 100, 1_000, 1_003])
@pytest.mark.parametrize("k", [1, 2, 7, 60])
def test_the_greatest_are_in_the_order_of_a_stable_sort(k: int, categories: int) -> None:
    if k > categories:
        return
    # Every number twice, once as the last.
    shuffled = torch.stack([torch.randperm(categories) for _ in range(50)])
    score = (shuffled // 2).float()
    expected = score.sort(stable=True, dim=-1, descending=True).indices[:, :k]
    assert torch.equal(top_k.greatest(score, k), expected)
