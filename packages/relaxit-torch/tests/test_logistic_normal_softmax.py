"""What the logistic-normal distribution must show beyond the checks of all distributions."""

from __future__ import annotations

import itertools
import weakref
from collections.abc import Callable
from typing import Any

import mpmath
import numpy as np
import pytest
import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.distributions import Dirichlet, kl_divergence
from torch.utils._python_dispatch import TorchDispatchMode

import relaxit_torch as rt
from relaxit_reference import LogisticNormalSoftmax

K = 5


def positive_definite(random: np.random.Generator, *batch: int) -> np.ndarray:
    factor = random.normal(size=(*batch, K, K))
    return factor @ np.swapaxes(factor, -2, -1) + 0.1 * np.eye(K)


def distributions(seed: int, *batch: int) -> dict[str, rt.LogisticNormalSoftmax]:
    """One distribution for each way to give the spread, all of them different."""
    random = np.random.default_rng(seed)
    loc = torch.tensor(random.normal(size=(3, *batch, K)))
    matrices = torch.tensor(positive_definite(random, 2, *batch))
    return {
        "scale": rt.LogisticNormalSoftmax(
            loc[0], torch.tensor(random.uniform(0.3, 3, (*batch, K)))
        ),
        "covariance_matrix": rt.LogisticNormalSoftmax(loc[1], covariance_matrix=matrices[0]),
        "scale_tril": rt.LogisticNormalSoftmax(
            loc[2], scale_tril=torch.linalg.cholesky(matrices[1])
        ),
    }


def test_full_and_diagonal_agree_where_they_are_the_same_distribution() -> None:
    scale = torch.tensor([0.01, 1.0, 30.0, 2.0, 0.5], dtype=torch.float64)
    loc = torch.linspace(-2, 2, K, dtype=torch.float64)
    diagonal = rt.LogisticNormalSoftmax(loc, scale)
    others = {
        "covariance_matrix": rt.LogisticNormalSoftmax(
            loc, covariance_matrix=scale.square().diag_embed()
        ),
        "scale_tril": rt.LogisticNormalSoftmax(loc, scale_tril=scale.diag_embed()),
    }
    noise, value = diagonal.noise((50,)), diagonal.sample((50,))
    for full in others.values():
        torch.testing.assert_close(full.relax(noise), diagonal.relax(noise))
        torch.testing.assert_close(full.log_prob(value), diagonal.log_prob(value))
        torch.testing.assert_close(
            full.log_prob_from_noise(noise), diagonal.log_prob_from_noise(noise)
        )
        for name in ("projected_mean", "projected_variance", "projected_covariance"):
            torch.testing.assert_close(getattr(full, name), getattr(diagonal, name))
        for name in ("covariance_matrix", "scale_tril"):
            torch.testing.assert_close(getattr(full, name), getattr(diagonal, name))
        zero = torch.zeros((), dtype=torch.float64)
        for pair in ((full, diagonal), (diagonal, full)):
            torch.testing.assert_close(kl_divergence(*pair), zero, rtol=0, atol=1e-12)


def test_what_the_softmax_does_not_see_changes_nothing() -> None:
    random = np.random.default_rng(1)
    covariance, loc = positive_definite(random), random.normal(size=K)
    a = random.uniform(0, 0.05, size=K)  # small enough to leave the matrix positive definite
    changed = covariance + a[:, None] + a[None, :]
    first = rt.LogisticNormalSoftmax(torch.tensor(loc), covariance_matrix=torch.tensor(covariance))
    second = rt.LogisticNormalSoftmax(
        torch.tensor(loc + 7), covariance_matrix=torch.tensor(changed)
    )
    value = first.sample((50,))
    torch.testing.assert_close(second.log_prob(value), first.log_prob(value))
    torch.testing.assert_close(second.projected_mean, first.projected_mean)
    torch.testing.assert_close(second.projected_covariance, first.projected_covariance)
    assert abs(kl_divergence(first, second).item()) < 1e-12
    reference = LogisticNormalSoftmax(loc + 7, covariance_matrix=changed)
    np.testing.assert_allclose(reference.logpdf(value.numpy()), first.log_prob(value), rtol=1e-11)


def test_the_projected_moments_are_the_moments_of_the_projection() -> None:
    projection = torch.eye(K, dtype=torch.float64) - 1 / K
    for distribution in distributions(2, 3).values():
        torch.testing.assert_close(distribution.projected_mean, distribution.loc @ projection)
        expected = projection @ distribution.covariance_matrix @ projection
        torch.testing.assert_close(distribution.projected_covariance, expected)
        torch.testing.assert_close(
            distribution.projected_variance, expected.diagonal(dim1=-2, dim2=-1).clone()
        )


def exact_log_density(loc, scale, value) -> float:
    """With independent variables, by the matrix A, in as many digits as are needed."""
    with mpmath.workdps(120):
        m, s, c = (list(map(mpmath.mpf, row)) for row in (loc, scale, value))
        count = len(m) - 1
        y = mpmath.matrix([mpmath.log(c[k] / c[-1]) - m[k] + m[-1] for k in range(count)])
        S = mpmath.matrix(count, count)
        for i, j in itertools.product(range(count), repeat=2):
            S[i, j] = s[-1] ** 2 + (s[i] ** 2 if i == j else 0)
        square = (y.T * S**-1 * y)[0]
        log_det = mpmath.log(mpmath.det(2 * mpmath.pi * S))
        return float(-square / 2 - log_det / 2 - sum(map(mpmath.log, c)))


@pytest.mark.parametrize(("dtype", "decades"), [(torch.float64, 12), (torch.float32, 6)], ids=str)
def test_scales_of_many_orders_of_magnitude_lose_no_digits(dtype, decades: int) -> None:
    random = np.random.default_rng(3)
    loc = torch.tensor(random.normal(size=(40, K))).to(dtype)
    scale = torch.tensor(10 ** random.uniform(-decades, decades, size=(40, K))).to(dtype)
    # One category of little variance at most: two would fix each other's log-ratio to more digits
    # than a value has.
    scale = torch.where(scale == scale.amin(-1, keepdim=True), scale, scale.clamp(min=1.0))
    distribution = rt.LogisticNormalSoftmax(loc, scale, validate_args=False)
    value = torch.softmax(torch.tensor(random.normal(size=(40, K))), -1).to(dtype)
    rows = zip(loc.tolist(), scale.tolist(), value.tolist(), strict=True)
    expected = [exact_log_density(*row) for row in rows]
    # Some ten terms of size up to 5 log(10^12).
    tolerance = 100 * torch.finfo(dtype).eps
    np.testing.assert_allclose(
        distribution.log_prob(value).double(), expected, rtol=tolerance, atol=0
    )


@pytest.mark.parametrize("spread", ["scale", "scale_tril"])
def test_a_common_constant_that_dwarfs_the_scales_is_taken_away(spread: str) -> None:
    scale = torch.tensor([1e-6, 1e-4, 1e-4, 1.0])
    loc = torch.tensor([0.3, -0.2, 0.5, 0.0]) + 30
    wide = rt.LogisticNormalSoftmax(loc.double(), scale.double())
    value = wide.sample((20,)).float()
    spreads = {"scale": scale, "scale_tril": scale.diag_embed()}
    given: dict[str, Any] = {spread: spreads[spread]}
    distribution = rt.LogisticNormalSoftmax(loc, **given)
    expected = [exact_log_density(loc.tolist(), scale.tolist(), row) for row in value.tolist()]
    # `log c - mu` is rounded to half an ulp of 32, 2e-6: a fiftieth of the second scale. Within
    # five standard deviations the density changes by a tenth then, for two such categories twice.
    np.testing.assert_allclose(distribution.log_prob(value).double(), expected, rtol=0, atol=0.2)


def exact_divergence(p: rt.LogisticNormalSoftmax, q: rt.LogisticNormalSoftmax) -> Tensor:
    """Of the normal log-ratios, with the matrix A written out."""
    A = torch.cat([torch.eye(K - 1), -torch.ones(K - 1, 1)], -1).double()
    pairs = [
        (distribution.loc @ A.T, A @ distribution.covariance_matrix @ A.T)
        for distribution in (p, q)
    ]
    normal = [torch.distributions.MultivariateNormal(m, S) for m, S in pairs]
    return kl_divergence(*normal)


@pytest.mark.parametrize("pair", list(itertools.product(distributions(4), repeat=2)), ids=str)
def test_the_divergence_is_the_divergence_of_the_log_ratios(pair: tuple[str, str]) -> None:
    p, q = distributions(4, 3)[pair[0]], distributions(5, 3)[pair[1]]
    torch.testing.assert_close(kl_divergence(p, q), exact_divergence(p, q))
    # Batches broadcast, and one matrix may serve a whole batch.
    single, wide = distributions(6)[pair[1]], distributions(7, 2, 1)[pair[1]]
    torch.testing.assert_close(kl_divergence(p, single), exact_divergence(p, single))
    torch.testing.assert_close(kl_divergence(single, p), exact_divergence(single, p))
    torch.testing.assert_close(kl_divergence(p, wide), exact_divergence(p.expand((2, 3)), wide))
    expanded = single.expand((4, 3))
    torch.testing.assert_close(kl_divergence(p, expanded), exact_divergence(p, expanded))


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
def test_the_divergence_of_very_different_scales_loses_no_digits(dtype) -> None:
    loc = torch.zeros(2, dtype=dtype)
    p = rt.LogisticNormalSoftmax(loc, torch.ones(2, dtype=dtype))
    q = rt.LogisticNormalSoftmax(loc, torch.tensor([1e-6, 1.0], dtype=dtype))
    # Variances 2 and 1 + 1e-12 of the one log-ratio.
    expected = torch.tensor(0.5 * (2 - 1 - np.log(2)), dtype=dtype)
    torch.testing.assert_close(kl_divergence(p, q), expected)


@pytest.mark.parametrize("spread", ["scale", "scale_tril"])
def test_the_divergence_of_a_dirichlet_distribution_is_its_integral(spread: str) -> None:
    concentration = torch.tensor([[0.5, 2.0, 5.0], [20.0, 9.0, 3.0]], dtype=torch.float64)
    dirichlet = Dirichlet(concentration)
    spreads = {
        "scale": torch.tensor([0.5, 1.0, 2.0]).double(),
        "scale_tril": torch.tensor([[1.0, 0.0, 0.0], [0.5, 0.7, 0.0], [-0.4, 0.2, 0.9]]).double(),
    }
    given: dict[str, Any] = {spread: spreads[spread]}
    distribution = rt.LogisticNormalSoftmax(torch.tensor([0.3, -0.4, 0.0]).double(), **given)
    # At the last log-ratio the tail of the density, exp(-|y| / 2), is 1e-17.
    step = 0.1
    axis = torch.arange(-80, 80 + step / 2, step, dtype=torch.float64)
    log_value = torch.log_softmax(
        torch.nn.functional.pad(torch.cartesian_prod(axis, axis), (0, 1)), -1
    )[:, None]
    jacobian = log_value.sum(-1)
    log_p = ((concentration - 1) * log_value).sum(-1) - (
        torch.lgamma(concentration).sum(-1) - torch.lgamma(concentration.sum(-1))
    )
    reference = LogisticNormalSoftmax(distribution.loc.numpy(), **{spread: spreads[spread].numpy()})
    log_q = torch.tensor(reference._log_normal((log_value - distribution.loc).numpy())) - jacobian
    weight = (log_p + jacobian).exp() * step**2
    torch.testing.assert_close(weight.sum(0), torch.ones(2).double(), rtol=0, atol=1e-10)
    expected = (weight * (log_p - log_q)).sum(0)
    torch.testing.assert_close(
        kl_divergence(dirichlet, distribution), expected, rtol=1e-8, atol=0.0
    )


def test_the_divergence_to_a_dirichlet_distribution_says_what_to_do_instead() -> None:
    distribution = distributions(8)["scale"]
    dirichlet = Dirichlet(torch.ones(K))
    with pytest.raises(NotImplementedError, match=r"laplace_bridge\.to_dirichlet\(p\), q\)"):
        kl_divergence(distribution, dirichlet)
    assert kl_divergence(
        rt.laplace_bridge.to_dirichlet(distribution), dirichlet.expand(())
    ).isfinite()


def test_there_is_no_discrete_variable_and_the_error_says_which_distribution_has_one() -> None:
    distribution = distributions(9)["scale"]
    with pytest.raises(NotImplementedError, match="Use InvertibleGaussian"):
        _ = distribution.discrete
    with pytest.raises(NotImplementedError, match="has no hardening map"):
        distribution.harden(distribution.sample())


def test_one_matrix_is_factorised_once() -> None:
    names: list[str] = []

    class Names(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            names.append(func._schema.name)
            return func(*args, **(kwargs or {}))

    with Names():
        distribution = rt.LogisticNormalSoftmax(
            torch.zeros(100, K), covariance_matrix=torch.eye(K), validate_args=False
        )
        distribution.log_prob(distribution.sample((3,)))
        distribution.rsample_and_log_prob()
        distribution.expand((2, 100)).sample()
    assert names.count("aten::linalg_cholesky_ex") == 1


# Memory: of order K, however it is counted.

MANY = 100_000


class Living(TorchDispatchMode):
    """Counts the bytes of the results that are alive at one time, and of the largest of them."""

    def __init__(self) -> None:
        super().__init__()
        self.users: dict[int, int] = {}
        self.now = self.peak = self.largest = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        result = func(*args, **(kwargs or {}))
        for tensor in result if isinstance(result, tuple | list) else [result]:
            if isinstance(tensor, Tensor):
                self.see(tensor)
        return result

    def see(self, tensor: Tensor) -> None:
        place, size = tensor.untyped_storage().data_ptr(), tensor.untyped_storage().nbytes()
        self.users[place] = self.users.get(place, 0) + 1
        if self.users[place] == 1:
            self.now += size
        weakref.finalize(tensor, self.forget, place, size)
        self.peak, self.largest = max(self.peak, self.now), max(self.largest, size)

    def forget(self, place: int, size: int) -> None:
        self.users[place] -= 1
        if not self.users[place]:
            self.now -= size


def large() -> dict[str, Callable[[], Tensor]]:
    """Computations on distributions of 100,000 categories, with their parameters."""
    random = np.random.default_rng(10)
    loc, scale, concentration = (
        torch.tensor(x, dtype=torch.float32).requires_grad_()
        for x in (
            random.normal(size=MANY),
            random.uniform(0.1, 3, size=MANY),
            random.uniform(0.5, 50, size=MANY),
        )
    )
    noise = torch.randn(MANY)
    value = torch.softmax(torch.randn(MANY), -1)

    def distribution() -> rt.LogisticNormalSoftmax:
        return rt.LogisticNormalSoftmax(loc, scale, validate_args=False)

    def dirichlet() -> Dirichlet:
        return Dirichlet(concentration, validate_args=False)

    to_logistic_normal = rt.laplace_bridge.to_logistic_normal
    return {
        "relax": lambda: distribution().relax(noise),
        "log_prob": lambda: distribution().log_prob(value),
        "log_prob_from_noise": lambda: distribution().log_prob_from_noise(noise),
        "projected_mean": lambda: distribution().projected_mean,
        "projected_variance": lambda: distribution().projected_variance,
        "kl": lambda: kl_divergence(distribution(), distribution()),
        "kl of a Dirichlet": lambda: kl_divergence(dirichlet(), distribution()),
        "bridge": lambda: to_logistic_normal(dirichlet()).log_prob(value),
        "bridge back": lambda: rt.laplace_bridge.to_dirichlet(distribution()).concentration,
        "round trip": lambda: (
            rt.laplace_bridge.to_dirichlet(to_logistic_normal(dirichlet())).concentration
        ),
    }


VECTOR = MANY * 4


@pytest.mark.parametrize("name", large())
def test_a_hundred_thousand_categories_take_a_few_vectors(name: str) -> None:
    compute = large()[name]
    with torch.no_grad(), Living() as living:
        compute()
    assert living.largest <= VECTOR, "nothing is larger than a vector"
    assert living.peak <= 10 * VECTOR, f"{living.peak / VECTOR:.1f} vectors at one time"
    saved: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with saved_tensors_hooks(keep, lambda tensor: tensor):
        result = compute()
    assert max(saved.values(), default=0) <= VECTOR
    total = sum(saved.values()) / VECTOR
    assert total <= 26, f"{total:.1f} vectors kept for the backward pass"
    with Living() as living:
        result.sum().backward()
    assert living.largest <= VECTOR


def test_the_count_of_memory_sees_a_matrix_and_what_lives_together() -> None:
    x = torch.zeros(1000)
    with torch.no_grad(), Living() as living:
        torch.outer(x, x)
    assert living.largest == 4_000_000
    with torch.no_grad(), Living() as living:
        first = x + 1
        second = first + 1
        del first, second
        x + 1
    assert living.peak == 2 * 4_000
    assert living.now == 0
