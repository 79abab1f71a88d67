"""The log densities of the `[[cases]]`, from the formulas and 50 digits of mpmath.

The numbers in the specifications must come from neither package. So the formulas stand here once
more, in another arithmetic. A specification without cases needs no formula here.

Run as a script, this file prints for each case the stated log density and the computed one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from relaxit_reference import Spec, load_specs
from relaxit_reference.spec import Case

mp.dps = 50


def _probabilities(parameters: dict[str, Any]) -> list[Any]:
    """`pi` of the categories, or of 0 and 1."""
    if "probs" in parameters:
        probs = parameters["probs"]
        return [mpf(p) for p in probs] if isinstance(probs, list) else [1 - mpf(probs), mpf(probs)]
    logits = parameters["logits"]
    weights = [mpmath.exp(mpf(x)) for x in (logits if isinstance(logits, list) else [0, logits])]
    return [weight / mpmath.fsum(weights) for weight in weights]


def binary_concrete(parameters: dict[str, Any], value: float) -> Any:
    c = mpf(value)
    if parameters.get("hard"):
        return mpmath.log(_probabilities(parameters)[int(value)])
    logit = mpmath.log(c) - mpmath.log(1 - c)
    return logit_binary_concrete(parameters, logit) - mpmath.log(c) - mpmath.log(1 - c)


def logit_binary_concrete(parameters: dict[str, Any], value: Any) -> Any:
    zero, one = _probabilities(parameters)
    temperature = mpf(parameters["temperature"])
    odds = one / zero * mpmath.exp(-temperature * mpf(value))
    return mpmath.log(temperature * odds / (1 + odds) ** 2)


def gumbel_softmax(parameters: dict[str, Any], value: list[float]) -> Any:
    if parameters.get("hard"):
        return mpmath.log(mpmath.fdot(_probabilities(parameters), map(mpf, value)))
    logs = [mpmath.log(mpf(c)) if c else -mpmath.inf for c in value]
    possible = [log for log in logs if log > -mpmath.inf]
    return exp_gumbel_softmax(parameters, logs) - mpmath.fsum(possible)


def gumbel_rao(parameters: dict[str, Any], value: list[float]) -> Any:
    return gumbel_softmax({**parameters, "hard": True}, value)


def generalized_gumbel_softmax(parameters: dict[str, Any], value: list[float]) -> Any:
    rate, alpha = mpf(parameters["rate"]), mpf(parameters.get("dispersion", 0))
    if alpha:
        zero = (1 + alpha * rate) ** (-1 / alpha)
        probs = [
            mpmath.rf(1 / alpha, k) / mpmath.factorial(k) * (rate / (rate + 1 / alpha)) ** k * zero
            for k in range(len(value) - 1)
        ]
    else:
        probs = [mpmath.exp(-rate) * rate**k / mpmath.factorial(k) for k in range(len(value) - 1)]
    categories = {**parameters, "probs": [*probs, 1 - mpmath.fsum(probs)]}
    return gumbel_softmax(categories, value)


def exp_gumbel_softmax(parameters: dict[str, Any], value: list[Any]) -> Any:
    pairs = [(p, mpf(y)) for p, y in zip(_probabilities(parameters), value, strict=True) if p]
    temperature, K = mpf(parameters["temperature"]), len(pairs)
    weights = [p * mpmath.exp(-temperature * y) for p, y in pairs]
    product = mpmath.fprod(weights)
    return mpmath.log(
        mpmath.gamma(K) * temperature ** (K - 1) * product / mpmath.fsum(weights) ** K
    )


def _log_normal_cdf(x: Any) -> Any:
    return mpmath.log(mpmath.erfc(-mpf(x) / mpmath.sqrt(2)) / 2)


def gaussian_relaxed_bernoulli(parameters: dict[str, Any], value: float) -> Any:
    loc, scale = mpf(parameters["loc"]), mpf(parameters["scale"])
    if value in (0, 1):
        return _log_normal_cdf(-loc / scale if value == 0 else (loc - 1) / scale)
    return mpmath.log(mpmath.npdf(mpf(value), loc, scale))


def hard_concrete(parameters: dict[str, Any], value: float) -> Any:
    low, high = mpf(parameters["low"]), mpf(parameters["high"])
    zero, one = _probabilities(parameters)
    s = (mpf(value) - low) / (high - low)
    below = (s / (1 - s)) ** mpf(parameters["temperature"]) * zero / one  # F(s) / (1 - F(s))
    if value == 0:
        return mpmath.log(below / (1 + below))
    if value == 1:
        return -mpmath.log(1 + below)
    return mpmath.log(
        mpf(parameters["temperature"]) * below / (1 + below) ** 2 / (s * (1 - s) * (high - low))
    )


def _quantile(log_odds: Any) -> Any:
    """The standard normal quantile of the probability with these log-odds."""
    a = abs(log_odds)
    if a == 0:
        return mpf(0)
    tail = 1 / (1 + mpmath.exp(a))
    start = -mpmath.sqrt(max(mpf(0), -2 * mpmath.log(tail) - mpmath.log(2 * mpmath.pi)))
    root = mpmath.findroot(lambda v: _log_normal_cdf(v) - mpmath.log(tail), start)
    return mpmath.sign(log_odds) * abs(root)


def _coupled(parameters: dict[str, Any]) -> tuple[list[Any], Any]:
    """The log-odds, and the correlation matrix."""
    logits = parameters.get("logits")
    if logits is None:
        logits = [mpmath.log(mpf(p) / (1 - mpf(p))) for p in parameters["probs"]]
    factor = parameters.get("correlation_cholesky")
    if factor is None:
        return list(map(mpf, logits)), mpmath.matrix(parameters["correlation_matrix"])
    return list(map(mpf, logits)), mpmath.matrix(factor) * mpmath.matrix(factor).T


def correlated_relaxed_bernoulli(parameters: dict[str, Any], value: list[float]) -> Any:
    log_odds, matrix = _coupled(parameters)
    temperature, c = mpf(parameters["temperature"]), list(map(mpf, value))
    noise = [temperature * mpmath.log(x / (1 - x)) - a for x, a in zip(c, log_odds, strict=True)]
    v = mpmath.matrix([_quantile(x) for x in noise])
    joint = -(v.T * matrix**-1 * v)[0] / 2 - mpmath.log(mpmath.det(2 * mpmath.pi * matrix)) / 2
    # Binary Concrete densities over normal densities: the derivative of the map between them.
    logistic = [x - 2 * mpmath.log(1 + mpmath.exp(x)) for x in noise]
    marginals = [
        density + mpmath.log(temperature / (x * (1 - x)))
        for density, x in zip(logistic, c, strict=True)
    ]
    return joint + mpmath.fsum(marginals) - mpmath.fsum(mpmath.log(mpmath.npdf(x)) for x in v)


def correlated_bernoulli(parameters: dict[str, Any], value: list[float]) -> Any:
    log_odds, matrix = _coupled(parameters)
    signs = [2 * mpf(b) - 1 for b in value]
    if len(value) == 1:
        return -mpmath.log(1 + mpmath.exp(-signs[0] * log_odds[0]))
    h, k = (sign * _quantile(a) for sign, a in zip(signs, log_odds, strict=True))
    r = signs[0] * signs[1] * matrix[0, 1]
    width = mpmath.sqrt(1 - r**2)
    edges = {
        h,
        *(h - mpf(2) ** j for j in range(-12, 7)),
        *(k / r + width * j for j in range(-9, 10)),
    }
    density = lambda x: mpmath.npdf(x) * mpmath.ncdf((k - r * x) / width)  # noqa: E731
    return mpmath.log(mpmath.quad(density, sorted(x for x in edges if x <= h)))


def invertible_gaussian(parameters: dict[str, Any], value: list[float]) -> Any:
    temperature, delta = mpf(parameters["temperature"]), mpf(parameters["delta"])
    *first, last = map(mpf, value)
    normal = zip(first, map(mpf, parameters["loc"]), map(mpf, parameters["scale"]), strict=True)
    density = mpmath.fprod(
        mpmath.npdf(temperature * mpmath.log(delta * c / last), loc, scale) * temperature
        for c, loc, scale in normal
    )
    return mpmath.log(density / mpmath.fprod(map(mpf, value)))


def logistic_normal_softmax(parameters: dict[str, Any], value: list[float]) -> Any:
    K, c = len(value), list(map(mpf, value))
    if "scale" in parameters:
        covariance = mpmath.diag([mpf(s) ** 2 for s in parameters["scale"]])
    elif "scale_tril" in parameters:
        covariance = mpmath.matrix(parameters["scale_tril"])
        covariance *= covariance.T
    else:
        covariance = mpmath.matrix(parameters["covariance_matrix"])
    A = mpmath.matrix(K - 1, K)
    for k in range(K - 1):
        A[k, k], A[k, K - 1] = 1, -1
    S = A * covariance * A.T
    deviation = A * mpmath.matrix(
        [mpmath.log(x) - mpf(m) for x, m in zip(c, parameters["loc"], strict=True)]
    )
    square = (deviation.T * S**-1 * deviation)[0]
    return -square / 2 - mpmath.log(mpmath.det(2 * mpmath.pi * S)) / 2 - sum(map(mpmath.log, c))


def plackett_luce(parameters: dict[str, Any], value: list[list[float]]) -> Any:
    left, product = dict(enumerate(_probabilities(parameters))), mpf(1)
    for row in value:
        total = mpmath.fsum(left.values())
        product *= left.pop(row.index(1)) / total
    return mpmath.log(product) if product else -mpmath.inf


def gumbel_softmax_top_k(parameters: dict[str, Any], value: list[list[float]]) -> Any:
    if parameters.get("hard"):
        return plackett_luce(parameters, value)
    pi, tau = _probabilities(parameters), mpf(parameters["temperature"])
    left, density = list(range(len(pi))), mpf(0)
    first = [mpf(c) for c in value[0]]
    for number, row in enumerate(value):
        outside = set(range(len(pi))) - set(left)
        total = mpmath.fsum(first[i] for i in left)
        shares = [first[i] / total for i in left]
        follows = all(abs(row[i] - s) < 1e-12 * s for i, s in zip(left, shares, strict=True) if s)
        if any(row[i] for i in outside) or not (parameters.get("independent_noise") or follows):
            return -mpmath.inf
        if number == 0 or parameters.get("independent_noise"):
            at = {"temperature": tau, "probs": [pi[i] for i in left]}
            density += gumbel_softmax(at, [row[i] for i in left])
        left.remove(max(left, key=row.__getitem__))
    return density


def straight_through_bernoulli(parameters: dict[str, Any], value: float) -> Any:
    return mpmath.log(_probabilities(parameters)[int(value)])


def stochastic_times_smooth(parameters: dict[str, Any], value: float) -> Any:
    root = mpmath.sqrt(_probabilities(parameters)[1])
    return mpmath.log(1 - root) if value == 0 else mpmath.log(root)


PAIRS = [
    (variant, case)
    for spec in load_specs()
    for variant in spec.with_variants()
    for case in variant.cases
]
CASES = [pytest.param(spec, case, id=f"{spec}: {case.why}") for spec, case in PAIRS]


def compute(spec: Spec, case: Case) -> Any:
    formula: Callable[..., Any] = globals()[spec.name]
    return formula({**case.parameters, **spec.arguments}, case.value)


@pytest.mark.equivalence
@pytest.mark.parametrize(("spec_of_case", "case"), CASES)
def test_the_stated_log_prob_is_what_mpmath_computes(spec_of_case: Spec, case: Case) -> None:
    computed = compute(spec_of_case, case)
    # Half an ulp from reading the decimal number, half an ulp from its last digit.
    close = abs(computed - case.log_prob) <= 2**-52 * abs(case.log_prob)
    assert computed == case.log_prob or close


@pytest.mark.equivalence
@pytest.mark.parametrize(("spec_of_case", "case"), CASES)
def test_the_reference_agrees_with_the_stated_log_prob(spec_of_case: Spec, case: Case) -> None:
    distribution = spec_of_case.reference_class(**case.parameters, **spec_of_case.arguments)
    # The terms (logits, or temperature times log c) reach 10^3, so the error is 10^3 ulps of 1.
    np.testing.assert_allclose(
        distribution.logpdf(case.value), case.log_prob, rtol=1e-13, atol=1e-13
    )


def _print_cases() -> Iterator[str]:
    for spec, case in PAIRS:
        value = mpmath.nstr(compute(spec, case), 25)
        yield f"{spec}: {case.why}: stated {case.log_prob!r}, is {value}"


if __name__ == "__main__":
    print("\n".join(_print_cases()))
