"""Ordered samples without replacement: sums over all of them, subsets, and k-hot vectors."""

from __future__ import annotations

import itertools
import math
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import relaxit_torch as rt
from relaxit_reference import GumbelSoftmaxTopK as Reference

K = 7

LOGITS = {
    "moderate": torch.tensor([0.3, -1.2, 2.0, 0.0, 0.7, -0.4, 1.1], dtype=torch.float64),
    "spread over 60 nats": torch.linspace(30, -30, K, dtype=torch.float64),
    "of one category with nearly all the mass": torch.tensor(
        [60.0, 0.3, -1.2, 2.0, 0.0, -0.4, 1.1], dtype=torch.float64
    ),
}


def arrangements(k: int) -> Tensor:
    rows = torch.tensor(list(itertools.permutations(range(K), k)))
    return torch.eye(K, dtype=torch.float64)[rows]


def subsets(k: int) -> Tensor:
    members = torch.tensor(list(itertools.combinations(range(K), k)))
    return torch.eye(K, dtype=torch.float64)[members].sum(-2)


def exact_log_prob(logits: Tensor, choice: list[int]) -> float:
    """In 50 digits, where 1 - sum loses none that matter."""
    with mpmath.workdps(50):
        left = {i: mpmath.exp(x) for i, x in enumerate(logits.tolist())}
        log_prob = mpmath.mpf(0)
        for i in choice:
            total = mpmath.fsum(left.values())
            log_prob += mpmath.log(left.pop(i) / total)
        return float(log_prob)


# Plackett-Luce.


@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("k", range(1, K + 1))
def test_probabilities_of_all_ordered_samples_sum_to_1(k: int, logits: Tensor) -> None:
    total = rt.PlackettLuce(k, logits=logits).log_prob(arrangements(k)).exp().sum()
    # Up to 5040 terms.
    assert abs(total.item() - 1) < 1e-12


@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("k", range(1, K + 1))
def test_probabilities_of_all_subsets_sum_to_1(k: int, logits: Tensor) -> None:
    total = rt.PlackettLuce(k, logits=logits).subset_log_prob(subsets(k)).exp().sum()
    assert abs(total.item() - 1) < 1e-12


@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("k", range(1, K + 1))
def test_the_probability_of_a_subset_is_the_sum_over_orders(k: int, logits: Tensor) -> None:
    distribution = rt.PlackettLuce(k, logits=logits)
    ordered, khot = arrangements(k), subsets(k)
    log_prob, same = distribution.log_prob(ordered), (ordered.sum(-2) == khot[:, None]).all(-1)
    expected = torch.where(same, log_prob, -torch.inf).logsumexp(-1)
    # The requirement is 1e-10; the error is 1e-13.
    torch.testing.assert_close(distribution.subset_log_prob(khot), expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
def test_log_prob_has_all_digits_whatever_is_drawn_first(logits: Tensor, dtype) -> None:
    distribution = rt.PlackettLuce(3, logits=logits.to(dtype))
    ordered = arrangements(3).to(dtype)
    expected = [exact_log_prob(distribution.logits, rows.argmax(-1).tolist()) for rows in ordered]
    # No absolute tolerance: the logarithm of a probability near 1 keeps all its digits too. Other
    # logarithms are sums and differences of logits up to 60.
    limits = torch.finfo(dtype)
    torch.testing.assert_close(
        distribution.log_prob(ordered).double(),
        torch.tensor(expected, dtype=torch.float64),
        rtol=200 * limits.eps,
        atol=0.0,
    )


def test_a_certain_sample_keeps_its_digits() -> None:
    logits = torch.tensor([100.0, 50.0, 0.0, -1.0], dtype=torch.float64)
    distribution = rt.PlackettLuce(2, logits=logits)
    rows = torch.eye(4, dtype=torch.float64)[:2]
    expected = exact_log_prob(logits, [0, 1])
    assert -1e-20 < expected < 0
    assert math.isclose(distribution.log_prob(rows).item(), expected, rel_tol=1e-13)


def product_integral(weights: list[float], dps: int = 40) -> float:
    """`log int_0^1 prod_i (1 - u^w_i) du` as a sum over the subsets that the product expands to."""
    with mpmath.workdps(dps):
        total = mpmath.mpf(0)
        for size in range(len(weights) + 1):
            for chosen in itertools.combinations(weights, size):
                total += (-1) ** size / (1 + mpmath.fsum(map(mpmath.mpf, chosen)))
        return float(mpmath.log(total))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("scale", [0.5, 5.0, 20.0])
@pytest.mark.parametrize("k", [1, 2, 4, 8])
def test_subsets_are_precise_for_weights_of_all_orders(k: int, scale: float, dtype) -> None:
    generator = torch.Generator().manual_seed(k)
    log_weights = scale * torch.randn(20, k, generator=generator, dtype=torch.float64)
    # The one category that is left has weight 1, so the others keep their own weights.
    logits = torch.cat([log_weights, torch.zeros(20, 1, dtype=torch.float64)], -1).to(dtype)
    khot = torch.cat([torch.ones(k), torch.zeros(1)]).to(dtype)
    found = rt.PlackettLuce(k, logits=logits).subset_log_prob(khot)
    # Alternating sums lose as many digits as the product has.
    dps = 40 + int(3 * k * scale)
    expected = [product_integral([mpmath.exp(x) for x in row[:-1].tolist()], dps) for row in logits]
    # A relative error of the probability, and of its logarithm where that is large.
    torch.testing.assert_close(
        found.double(),
        torch.tensor(expected, dtype=torch.float64),
        rtol=64 * torch.finfo(dtype).eps,
        atol=64 * torch.finfo(dtype).eps,
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("k", [2, 20, 100])
def test_subsets_of_equal_weights_are_equally_likely(k: int, dtype) -> None:
    distribution = rt.PlackettLuce(k, logits=torch.zeros(2, 10_000, dtype=dtype))
    khot = torch.zeros(10_000, dtype=dtype)
    khot[::100][:k] = 1
    expected = -math.log(math.comb(10_000, k))
    tolerance = 200 * torch.finfo(dtype).eps  # the sum of 100 terms, and log(10,000 - k)
    torch.testing.assert_close(
        distribution.subset_log_prob(khot),
        torch.full((2,), expected, dtype=dtype),
        rtol=tolerance,
        atol=0.0,
    )


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32", "float64"])
def test_subsets_have_gradients_that_are_numbers(precision: str) -> None:
    dtype = getattr(torch, precision)
    extremes = torch.tensor(
        [[50.0, -50, 0, 0, 3], [-50, -50, -50, 50, 50], [0, 0, -math.inf, 1, 1]]
    )
    logits = extremes.to(dtype).requires_grad_()
    for k in (1, 2, 3, 4):
        khot = torch.zeros(5, dtype=dtype)
        khot[[0, 1, 3, 4][:k]] = 1
        log_prob = rt.PlackettLuce(k, logits=logits).subset_log_prob(khot)
        assert log_prob.dtype == dtype
        assert log_prob.isfinite().all()
        (gradient,) = torch.autograd.grad(log_prob.sum(), logits)
        assert gradient.isfinite().all()


def test_the_gradient_of_a_subset_is_the_gradient_of_the_sum_over_orders() -> None:
    logits = LOGITS["moderate"].clone().requires_grad_()
    distribution = rt.PlackettLuce(3, logits=logits)
    ordered, khot = arrangements(3), subsets(3)
    same = (ordered.sum(-2) == khot[:, None]).all(-1)
    summed = torch.where(same, distribution.log_prob(ordered), -torch.inf).logsumexp(-1)
    weights = torch.linspace(-1, 1, len(khot), dtype=torch.float64)
    (found,) = torch.autograd.grad((weights * distribution.subset_log_prob(khot)).sum(), logits)
    (expected,) = torch.autograd.grad((weights * summed).sum(), logits)
    torch.testing.assert_close(found, expected, rtol=1e-11, atol=1e-11)


def test_the_subset_of_all_possible_categories_is_certain() -> None:
    logits = torch.tensor([0.0, -math.inf, 2.0], requires_grad=True)
    distribution = rt.PlackettLuce(2, logits=logits)
    all_of_them, impossible = torch.tensor([1.0, 0.0, 1.0]), torch.tensor([1.0, 1.0, 0.0])
    assert distribution.subset_log_prob(all_of_them).item() == 0
    assert distribution.subset_log_prob(impossible).item() == -math.inf
    both = distribution.subset_log_prob(torch.stack([all_of_them, impossible]))
    (gradient,) = torch.autograd.grad(both.exp().sum(), logits)
    assert gradient.tolist() == [0, 0, 0]


def test_subsets_broadcast_over_samples_and_batch() -> None:
    distribution = rt.PlackettLuce(2, logits=torch.randn(3, 1, 5), validate_args=False)
    assert distribution.subset_log_prob(torch.tensor([1.0, 0, 0, 1, 0])).shape == (3, 1)
    khot = distribution.sample((4,)).sum(-2)
    assert distribution.subset_log_prob(khot).shape == (4, 3, 1)
    mapped = torch.func.vmap(distribution.subset_log_prob)(khot)
    torch.testing.assert_close(mapped, distribution.subset_log_prob(khot))


def test_a_vector_that_is_not_a_subset_is_refused() -> None:
    distribution = rt.PlackettLuce(2, logits=torch.zeros(4), validate_args=True)
    with pytest.raises(ValueError, match=r"khot must be 2 ones among zeros, but got \[1.0, 0.0"):
        distribution.subset_log_prob(torch.tensor([1.0, 0.0, 0.0, 0.0]))
    with pytest.raises(ValueError, match=r"khot must have a shape that ends with \(4,\)"):
        distribution.subset_log_prob(torch.tensor([1.0, 1.0, 0.0]))


# Counts.


@pytest.mark.parametrize("k", [0, -1, 1.5, True, "2"])
def test_a_bad_count_is_refused(k: Any) -> None:
    with pytest.raises(ValueError, match="k must be an integer of at least 1, but got"):
        rt.PlackettLuce(k, logits=torch.zeros(3), validate_args=False)


def test_more_draws_than_categories_are_refused() -> None:
    message = "k must be at most the number of categories, 3, but got 4"
    with pytest.raises(ValueError, match=message):
        rt.GumbelSoftmaxTopK(4, 1.0, logits=torch.zeros(2, 3), validate_args=False)


def test_fewer_possible_categories_than_draws_are_refused_by_index() -> None:
    logits = torch.zeros(2, 3)
    logits[1, :2] = -math.inf
    expected = (
        "logits must be finite or -inf, with at least 2 finite entries in each row, "
        "but got [-inf, -inf, 0.0] at index (1,)"
    )
    with pytest.raises(ValueError) as raised:  # noqa: PT011 (the whole message is compared)
        rt.PlackettLuce(2, logits=logits, validate_args=True)
    assert str(raised.value) == expected
    rt.PlackettLuce(1, logits=logits, validate_args=True)


# Rows, and their sum without them.


@pytest.mark.parametrize("temperature", [0.01, 0.1, 1.0, 10.0])
@pytest.mark.parametrize("logits", LOGITS.values(), ids=LOGITS)
@pytest.mark.parametrize("k", range(1, K + 1))
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_rsample_khot_is_the_sum_of_the_rows(dtype, k: int, logits: Tensor, temperature) -> None:
    leaves: dict[str, Any] = {
        "temperature": torch.tensor(temperature, dtype=dtype, requires_grad=True),
        "logits": logits.to(dtype).requires_grad_(),
    }
    distribution = rt.GumbelSoftmaxTopK(k, **leaves)
    torch.manual_seed(0)
    rows = distribution.rsample((200,))
    torch.manual_seed(0)
    khot = distribution.rsample_khot((200,))
    # Rows of the same scores, which differ by exponentials of up to -87 (-708): that many ulps.
    tolerance = 2 * torch.finfo(dtype).eps * -math.log(torch.finfo(dtype).tiny)
    torch.testing.assert_close(khot, distribution.khot(rows), rtol=tolerance, atol=tolerance)
    # The sum over the categories is k, whatever the scores.
    torch.testing.assert_close(khot.sum(-1), torch.full((200,), float(k), dtype=dtype))
    weights = torch.linspace(-1, 1, khot.numel(), dtype=dtype).reshape(khot.shape)
    found = torch.autograd.grad((weights * khot).sum(), tuple(leaves.values()))
    expected = torch.autograd.grad(
        (weights * distribution.khot(rows)).sum(), tuple(leaves.values())
    )
    for name, one, other in zip(leaves, found, expected, strict=True):
        # Sums of 1400 terms, each with the factor of scores / temperature.
        size = 1400 * max(1.0, (1 / temperature) ** (2 if name == "temperature" else 1))
        torch.testing.assert_close(one, other, rtol=100 * tolerance, atol=tolerance * size)


def test_rsample_khot_of_many_categories_is_the_sum_of_the_rows() -> None:
    for hard in (False, True):
        distribution = rt.GumbelSoftmaxTopK(100, 0.5, logits=torch.zeros(8, 10_000), hard=hard)
        torch.manual_seed(1)
        rows = distribution.rsample()
        torch.manual_seed(1)
        khot = distribution.rsample_khot()
        torch.testing.assert_close(khot, distribution.khot(rows), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("independent_noise", [False, True])
def test_hard_khot_vectors_are_exact(precision: str, independent_noise: bool) -> None:
    logits = torch.linspace(-2, 2, K).to(getattr(torch, precision)).requires_grad_()
    options: dict[str, Any] = {"logits": logits, "independent_noise": independent_noise}
    distribution = rt.GumbelSoftmaxTopK(3, 0.5, hard=True, **options)
    torch.manual_seed(0)
    rows = distribution.rsample((500,))
    torch.manual_seed(0)
    khot = distribution.rsample_khot((500,))
    assert torch.equal(khot, distribution.khot(rows))
    assert ((khot == 0) | (khot == 1)).all()
    assert (khot.sum(-1) == 3).all()
    soft = rt.GumbelSoftmaxTopK(3, 0.5, **options)
    torch.manual_seed(0)
    weights = torch.linspace(-1, 1, khot.numel()).reshape(khot.shape).to(khot)
    (expected,) = torch.autograd.grad((weights * soft.rsample_khot((500,))).sum(), logits)
    (found,) = torch.autograd.grad((weights * khot).sum(), logits)
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32", "float64"])
def test_khot_gradients_are_numbers_at_the_extremes(precision: str) -> None:
    dtype = getattr(torch, precision)
    logits = torch.tensor([[50.0, -50, 0, -math.inf], [50, 50, 50, -50], [-50, -50, 0, 0]]).to(
        dtype
    )
    for k, temperature in itertools.product((1, 2, 3), (0.01, 1.0, 10.0)):
        leaves: dict[str, Any] = {
            "temperature": torch.full((3,), temperature, dtype=dtype, requires_grad=True),
            "logits": logits.clone().requires_grad_(),
        }
        distribution = rt.GumbelSoftmaxTopK(k, **leaves)
        khot = distribution.rsample_khot((200,))
        assert khot.isfinite().all()
        assert (khot[:, 0, 3] == 0).all()
        weights = torch.linspace(-1, 1, khot.numel(), dtype=dtype).reshape(khot.shape)
        for gradient in torch.autograd.grad((weights * khot).sum(), tuple(leaves.values())):
            assert not gradient.isnan().any()


class Largest(TorchDispatchMode):
    """Keeps the number of entries of the largest tensor that any operation makes."""

    entries = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        sizes = [x.numel() for x in tree_leaves(result) if isinstance(x, Tensor)]
        self.entries = max(self.entries, *sizes, 0)
        return result


@pytest.mark.parametrize("hard", [False, True])
def test_khot_vectors_make_no_rows(hard: bool) -> None:
    logits = torch.zeros(3, 1_000, requires_grad=True)
    distribution = rt.GumbelSoftmaxTopK(50, 0.5, logits=logits, hard=hard, validate_args=False)
    with Largest() as largest:
        torch.autograd.grad(distribution.rsample_khot((2,)).sum(), logits)
    assert largest.entries == 2 * 3 * 1_000


def test_khot_vectors_of_logits_in_another_order_of_dimensions() -> None:
    torch.manual_seed(0)
    logits = torch.randn(10, 4, dtype=torch.float64).T.requires_grad_()
    same = logits.detach().clone(memory_format=torch.contiguous_format).requires_grad_()
    noise, weights = torch.randn(10, 4).double().T, torch.randn(10, 4).double().T
    found, expected = (
        rt.GumbelSoftmaxTopK(3, 0.5, logits=x, validate_args=False).relax_khot(noise)
        for x in (logits, same)
    )
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(
        torch.autograd.grad(found, logits, weights), torch.autograd.grad(expected, same, weights)
    )


def test_khot_vectors_equal_the_reference() -> None:
    logits = torch.linspace(-30, 30, K, dtype=torch.float64)
    for k, temperature in itertools.product((1, 3, K), (0.01, 1.0)):
        distribution = rt.GumbelSoftmaxTopK(k, temperature, logits=logits)
        noise = distribution.noise((100,))
        expected = Reference(k, temperature, logits=logits.numpy()).relax(noise.numpy()).sum(-2)
        # Scores of up to 10^4, of which an ulp is 2e-12.
        np.testing.assert_allclose(distribution.relax_khot(noise), expected, rtol=1e-11, atol=1e-11)


def test_relax_khot_compiles_and_maps() -> None:
    logits = torch.randn(3, K, dtype=torch.float64, requires_grad=True)
    distribution = rt.GumbelSoftmaxTopK(3, 0.5, logits=logits, validate_args=False)
    noise = distribution.noise((4,))
    expected = distribution.relax_khot(noise)
    torch.testing.assert_close(torch.func.vmap(distribution.relax_khot)(noise), expected)
    default = torch.distributions.Distribution._validate_args
    try:
        compiled = torch.compile(distribution.relax_khot, fullgraph=True, backend="aot_eager")
        torch.testing.assert_close(compiled(noise), expected, rtol=1e-13, atol=1e-13)
    finally:  # torch.compile turns validation off, for the rest of the process
        torch._dynamo.reset()
        torch.distributions.Distribution.set_default_validate_args(default)


# Densities of rows.


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("temperature", [0.01, 0.3, 10.0])
@pytest.mark.parametrize(("k", "categories"), [(2, 2), (3, 5), (5, 5), (4, 2_000)])
def test_samples_always_have_a_density(k: int, categories: int, temperature, precision) -> None:
    logits = (5 * torch.randn(20, categories)).to(getattr(torch, precision))
    distribution = rt.GumbelSoftmaxTopK(k, temperature, logits=logits)
    log_prob = distribution.log_prob(distribution.sample((50,)))
    assert (log_prob > -math.inf).all()
    assert not log_prob.isnan().any()


@pytest.mark.parametrize("precision", ["float16", "float32", "float64"])
def test_rows_that_do_not_follow_from_the_first_have_none(precision: str) -> None:
    logits = torch.zeros(5, dtype=getattr(torch, precision))
    distribution = rt.GumbelSoftmaxTopK(3, 0.7, logits=logits, validate_args=False)
    value, other = distribution.sample((100,)), distribution.sample((100,))
    for row in (1, 2):
        mixed = value.clone()
        mixed[:, row] = other[:, row]
        assert (distribution.log_prob(mixed) == -math.inf).all()
    # A small entry of the last row, wrong by twenty ulps of half precision or 10^4 of another.
    factor = 1 + (20 if precision == "float16" else 1e4) * torch.finfo(value.dtype).eps
    small = value[:, 2].masked_fill(value[:, 2] == 0, 2).argmin(-1, keepdim=True)
    changed = value.clone()
    changed[:, 2] = value[:, 2].scatter(-1, small, value[:, 2].gather(-1, small) * factor)
    assert (distribution.log_prob(changed) == -math.inf).all()


def test_hardened_ties_are_told_by_the_next_row() -> None:
    distribution = rt.GumbelSoftmaxTopK(2, 1.0, logits=torch.zeros(3))
    value = torch.tensor([[0.4, 0.4, 0.2], [0.6667, 0.0, 0.3333]])
    assert distribution.harden(value).argmax(-1).tolist() == [1, 0]
    noise = torch.tensor([0.0, 1e-9, -1.0])
    assert distribution.harden(distribution.relax(noise)).argmax(-1).tolist() == [1, 0]


def test_all_rows_of_a_hard_sample_differ_in_every_precision() -> None:
    for dtype in (torch.float16, torch.bfloat16, torch.float32):
        logits = torch.zeros(1000, 5, dtype=dtype)
        for independent_noise in (False, True):
            distribution = rt.GumbelSoftmaxTopK(
                5, 10.0, logits=logits, independent_noise=independent_noise
            )
            assert (
                rt.PlackettLuce(5, logits=logits)
                .support.check(distribution.harden(distribution.sample()))
                .all()
            )


def test_one_row_is_gumbel_softmax() -> None:
    logits = torch.randn(4, 5, dtype=torch.float64)
    for independent_noise in (False, True):
        rows = rt.GumbelSoftmaxTopK(1, 0.7, logits=logits, independent_noise=independent_noise)
        single = rt.GumbelSoftmax(0.7, logits=logits)
        value = single.sample((3,))
        torch.testing.assert_close(rows.log_prob(value.unsqueeze(-2)), single.log_prob(value))
