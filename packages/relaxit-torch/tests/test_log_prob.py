"""The log density is the reference's, everywhere in the support, and integrates to one."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from parametrisation import each_dtype, each_spec, each_spec_and_parameters
from relaxit_reference import Spec, load_specs
from relaxit_reference.comparison.messages import reproduction
from relaxit_reference.comparison.quadrature import total_mass
from relaxit_reference.comparison.rounding import (
    log_prob_from_noise_tolerance,
    log_prob_tolerance,
)
from relaxit_reference.domains import Independent, Interval, Simplex
from relaxit_reference.spec import Case
from relaxit_reference.testing import strategies

CASES = [
    pytest.param(variant, case, id=f"{variant}: {case.why}")
    for spec in load_specs()
    for variant in spec.with_variants()
    for case in variant.cases
]


def compare_at(spec: Spec, parameters, value: np.ndarray, dtype: str, build_distribution) -> None:
    found = build_distribution(spec, parameters, dtype).logpdf(value)
    expected = spec.reference_class(**parameters, **spec.arguments).logpdf(value, dtype)
    tolerance = log_prob_tolerance(spec, parameters, value, expected, dtype)
    with np.errstate(invalid="ignore"):  # -inf - -inf, where they are equal
        equal = (np.abs(found - expected) <= tolerance) | (found == expected)
    script = reproduction(spec, parameters, "logpdf", value)
    assert np.all(equal), f"torch: {found}\nreference: {expected}\n{script}"


@each_dtype
@each_spec
@given(data=st.data())
def test_log_prob_equals_the_reference_at_samples(
    data, spec: Spec, dtype: str, build_distribution
) -> None:
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    noise = data.draw(strategies.noise(spec, parameters, dtype))
    value = build_distribution(spec, parameters, dtype).relax(noise)
    compare_at(spec, parameters, value, dtype, build_distribution)


@each_dtype
@each_spec
@given(data=st.data())
def test_log_prob_equals_the_reference_anywhere_in_the_support(
    data, spec: Spec, dtype: str, build_distribution
) -> None:
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    value = data.draw(strategies.values(spec, parameters, dtype))
    compare_at(spec, parameters, value, dtype, build_distribution)


@each_dtype
@each_spec
@given(data=st.data())
def test_log_prob_at_the_edge_equals_the_nearest_interior_number(
    data, spec: Spec, dtype: str, build_distribution
) -> None:
    support = spec.relax.support
    each = support.of if isinstance(support, Independent) else support
    saturates = isinstance(each, Simplex) or (spec.harden and isinstance(each, Interval))
    if not saturates:
        pytest.skip(f"no floating-point number is at an edge of {spec.relax.support.describe()}")
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    value = data.draw(strategies.values(spec, parameters, dtype))
    vertices = np.eye(value.shape[-1]) if isinstance(each, Simplex) else None
    corner = distribution.harden(value) if vertices is None else vertices[np.argmax(value, axis=-1)]
    compare_at(spec, parameters, corner, dtype, build_distribution)
    reachable = distribution.logpdf(corner) > -np.inf
    assert np.all(
        np.isfinite(build_distribution(spec, parameters, dtype).logpdf(corner)[reachable])
    )


@each_dtype
@each_spec
@given(data=st.data())
def test_log_prob_from_noise_equals_the_reference_at_every_temperature(
    data, spec: Spec, dtype: str, build_distribution
) -> None:
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    noise = data.draw(strategies.noise(spec, parameters, dtype))
    distribution = build_distribution(spec, parameters, dtype)
    reference = spec.reference_class(**parameters, **spec.arguments)
    found = distribution.logpdf_from_noise(noise)
    if spec.relax.support.discrete:
        # The tests of `relax` check which of two states a rounded score decides for.
        value = distribution.relax(noise)
        expected = reference.logpdf(value)
        tolerance = log_prob_tolerance(spec, parameters, value, expected, dtype)
    else:
        expected = reference.logpdf_from_noise(noise)
        tolerance = log_prob_from_noise_tolerance(spec, parameters, noise, dtype)
    script = reproduction(spec, parameters, "logpdf_from_noise", noise)
    assert np.all(np.abs(found - expected) <= tolerance), (
        f"torch: {found}\nreference: {expected}\n{script}"
    )


@each_spec
def test_rsample_and_log_prob_scores_the_sample_from_its_own_noise(spec: Spec, build) -> None:
    parameters = strategies.random_parameters(
        spec, np.random.default_rng(0), batch_shape=(4,), ranges={"temperature": (0.02, 0.05)}
    )
    distribution = build(spec, parameters, "float32")
    if not distribution.has_rsample:
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    torch.manual_seed(0)
    value, log_prob = distribution.rsample_and_log_prob((50,))
    torch.manual_seed(0)
    noise = distribution.noise((50,))
    assert torch.equal(value, distribution.relax(noise))
    assert torch.equal(log_prob, distribution.log_prob_from_noise(noise))


@each_spec_and_parameters
def test_the_density_integrates_to_one(
    spec: Spec, names: tuple[str, ...], build_distribution
) -> None:
    parameters = strategies.random_parameters(
        spec,
        np.random.default_rng(7),
        names=names,
        batch_shape=(3,),
        ranges={} if spec.density.atoms else spec.moderate,
    )
    # The trapezoidal rule is exact to 1e-10 on moderate ranges, Gauss-Legendre panels between atoms
    # on the typical ones; the requirement is 1e-8.
    reference = spec.reference_class(**parameters, **spec.arguments)
    mass = total_mass(reference, build_distribution(spec, parameters).logpdf)
    np.testing.assert_allclose(mass, 1, rtol=0, atol=1e-8)


@pytest.mark.equivalence
@pytest.mark.parametrize(("of", "case"), CASES)
def test_log_prob_equals_the_50_digit_value(of: Spec, case: Case, build_distribution) -> None:
    parameters = {name: np.asarray(value, float) for name, value in case.parameters.items()}
    value, stated = np.asarray(case.value, float), np.asarray(case.log_prob)
    found = build_distribution(of, parameters).logpdf(value)
    tolerance = log_prob_tolerance(of, parameters, value, stated, "float64")
    assert found == stated or abs(found - stated) <= tolerance, f"torch: {found}, mpmath: {stated}"
