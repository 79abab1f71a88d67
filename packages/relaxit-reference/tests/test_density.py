"""The reference itself: each density has mass one and agrees with map, moments and properties."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from parametrisation import each_spec, each_spec_and_parameters
from relaxit_reference import Spec, load_specs
from relaxit_reference.comparison.quadrature import total_mass
from relaxit_reference.spec import Property
from relaxit_reference.testing import statistics, strategies
from relaxit_reference.testing.gradients import surrogate_pullback
from relaxit_reference.testing.properties import CHECKS, check_property

PAIRS = [
    (variant, claim)
    for spec in load_specs()
    for variant in spec.with_variants()
    for claim in variant.properties
]
PROPERTIES = [pytest.param(of, claim, id=f"{of}: {claim}") for of, claim in PAIRS]


def draw(spec: Spec, seed: int, **options):
    random = np.random.default_rng(seed)
    options = {"ranges": spec.moderate, **options}
    parameters = strategies.random_parameters(spec, random, **options)
    return spec.reference_class(**parameters, **spec.arguments)


@each_spec_and_parameters
def test_the_density_integrates_to_one(spec: Spec, names: tuple[str, ...]) -> None:
    ranges = {} if spec.density.atoms else spec.moderate
    distribution = draw(spec, 41, names=names, batch_shape=(3,), ranges=ranges)
    # The trapezoidal rule is exact to 1e-10 on moderate ranges, and Gauss-Legendre panels between
    # point masses on typical ranges. The requirement is 1e-8.
    np.testing.assert_allclose(total_mass(distribution), 1, rtol=0, atol=1e-8)


@each_spec
def test_the_density_from_the_noise_is_that_of_the_value(spec: Spec) -> None:
    distribution = draw(spec, 42, batch_shape=(4,))
    noise = distribution.noise(100, random_state=43)
    # Values lie within 20 logits of the middle. Rounding 1 - c to 1e-16 there costs e^20 of it.
    np.testing.assert_allclose(
        distribution.logpdf(distribution.relax(noise)),
        distribution.logpdf_from_noise(noise),
        rtol=1e-6,
        atol=1e-6,
    )


@each_spec
def test_samples_follow_the_density(spec: Spec) -> None:
    distribution = draw(spec, 44)
    sample = distribution.rvs(20_000, random_state=45)
    assert statistics.sample_against_density(sample, distribution) > statistics.ALARM_RATE


@each_spec
def test_the_cdf_is_that_of_the_samples_and_inverts_the_quantiles(spec: Spec) -> None:
    if "cdf" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the cdf")
    distribution = draw(spec, 46)
    sample, atoms = distribution.rvs(20_000, random_state=47), spec.density.atoms
    between = sample[~np.isin(sample, atoms)]
    start = float(distribution.cdf(atoms[0])) if atoms else 0.0
    size = (float(distribution.cdf(np.nextafter(atoms[-1], 0))) if atoms else 1.0) - start
    p_value = statistics.kolmogorov_smirnov(between, lambda x: (distribution.cdf(x) - start) / size)
    assert p_value > statistics.ALARM_RATE
    levels = start + size * np.linspace(0.01, 0.99, 50)
    # Logits up to 25 times temperatures up to 5.
    np.testing.assert_allclose(distribution.cdf(distribution.ppf(levels)), levels, rtol=1e-12)


@pytest.mark.parametrize(
    ("moment", "of_log_density"),
    [("mean", lambda x, log_p: x), ("entropy", lambda x, log_p: -log_p)],
    ids=["mean", "entropy"],
)
@each_spec
def test_moments_are_integrals_of_the_density(spec: Spec, moment: str, of_log_density) -> None:
    if moment not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the {moment}")
    distribution = draw(spec, 48)
    x = distribution.rvs(100_000, random_state=49)
    values = of_log_density(x, distribution.logpdf(x))
    deviation = values.std(0) / np.sqrt(len(values))
    # A normal deviate exceeds 5.5 with probability 4e-8.
    assert np.all(np.abs(values.mean(0) - getattr(distribution, moment)()) <= 5.5 * deviation)


@each_spec
def test_the_variance_is_that_of_samples(spec: Spec) -> None:
    if "variance" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the variance")
    distribution = draw(spec, 50)
    squares = (distribution.rvs(100_000, random_state=51) - distribution.mean()) ** 2
    deviation = squares.std(0) / np.sqrt(len(squares))
    assert np.all(np.abs(squares.mean(0) - distribution.var()) <= 5.5 * deviation)


def check(claim: Property, of: Spec, factor: float = 1.0) -> None:
    """Checks the reference, with its gradient multiplied by `factor`."""

    def make(parameters):
        return of.reference_class(**parameters, **of.arguments)

    def pullback(parameters, noise, cotangent, name):
        return factor * surrogate_pullback(of, parameters, noise, cotangent, name)

    check_property(claim, of, make, pullback)


@pytest.mark.equivalence
@pytest.mark.parametrize(("of", "claim"), PROPERTIES)
def test_the_property_holds(of: Spec, claim: Property) -> None:
    check(claim, of)


def bias_of(name: str) -> tuple[Property, Spec]:
    return next(
        (claim, of) for of, claim in PAIRS if (str(of), claim.kind) == (name, "gradient_bias")
    )


OTHERS = {
    "GaussianRelaxedBernoulli": ["remains", "remains_unless_linear", "halves_the_linear"],
    "StochasticTimesSmooth": ["vanishes", "remains", "remains_unless_linear"],
    "StraightThroughBernoulli": ["vanishes", "remains", "halves_the_linear"],
    "BinaryConcrete": ["remains", "remains_unless_linear", "halves_the_linear"],
    "BinaryConcrete(hard=True)": ["vanishes", "remains_unless_linear", "halves_the_linear"],
}


@pytest.mark.parametrize(
    ("name", "expected"), [(name, word) for name, words in OTHERS.items() for word in words]
)
def test_the_bias_of_another_gradient_is_refused(name: str, expected: str) -> None:
    claim, of = bias_of(name)
    with pytest.raises(AssertionError, match="the relative errors are"):
        check(replace(claim, expected=expected), of)


@pytest.mark.parametrize("name", ["LogisticNormalSoftmax", "StraightThroughBernoulli"])
def test_a_gradient_that_is_five_percent_too_small_is_refused(name: str) -> None:
    with pytest.raises(AssertionError, match="it has no bias"):
        check(*bias_of(name), factor=0.95)


def test_every_kind_of_property_is_held_by_some_specification() -> None:
    assert {claim.kind for _, claim in PAIRS} == set(CHECKS)
