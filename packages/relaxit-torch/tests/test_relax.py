"""The same noise gives the same value, in torch and in the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from parametrisation import each_dtype, each_spec
from relaxit_reference import Spec
from relaxit_reference.comparison.messages import reproduction
from relaxit_reference.comparison.rounding import noise_in_favour, relax_tolerance
from relaxit_reference.testing import strategies


@each_dtype
@each_spec
@given(data=st.data())
def test_relax_equals_the_reference(data, spec: Spec, dtype: str, build_distribution) -> None:
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    noise = data.draw(strategies.noise(spec, parameters, dtype))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    value = build_distribution(spec, parameters, dtype).relax(noise)
    expected, tolerance = distribution.relax(noise), relax_tolerance(spec, parameters, noise, dtype)
    script = reproduction(spec, parameters, "relax", noise)
    if spec.event_dim > 1:
        compare_rows(spec, distribution, parameters, noise, value, dtype, script)
        return
    if not spec.relax.support.discrete:
        with np.errstate(invalid="ignore"):  # -inf - -inf, where they are equal
            equal = (np.abs(value - expected) <= tolerance) | (value == expected)
        assert np.all(equal), f"torch: {value}\n{script}"
        return
    # A discrete value is hardened from a relaxed value or from scores, and rounding may have moved
    # these by the tolerance. The value must be a state to which a number within it is hardened.
    assert np.all(spec.relax.support.contains(value)), f"torch: {value}\n{script}"
    soft, chosen = distribution.relaxed(noise), value == 1
    in_favour = distribution.harden(np.where(chosen, soft + tolerance, soft - tolerance))
    if "relax" in vars(type(distribution)):
        # Not hardened from a relaxed value: the noise itself decides, rounded like any number.
        in_favour = np.where(np.abs(noise - soft) <= tolerance, value, distribution.relax(noise))
    in_favour = np.where(value == distribution.relax(noise), value, in_favour)
    assert np.array_equal(in_favour, value), f"torch: {value}, relaxed: {soft}\n{script}"


def compare_rows(
    spec: Spec, distribution, parameters, noise, value, dtype: str, script: str
) -> None:
    """Compares rows. Each depends on the choices before it, so the noise is moved to make them."""
    assert np.all(spec.relax.support.contains(value)), f"torch: {value}\n{script}"
    moved, by = noise_in_favour(distribution, noise, distribution.harden(value), dtype)
    expected = distribution.relax(moved)
    tolerance = np.zeros(())
    if not spec.relax.support.discrete:
        # A softmax changes by at most twice the relative size that its scores do.
        by = by if noise.ndim == value.ndim else by[..., None, :]
        change = 2 * by / np.asarray(parameters["temperature"])[..., None, None] * expected
        tolerance = relax_tolerance(spec, parameters, moved, dtype) + change
    right = np.all(np.abs(value - expected) <= tolerance, axis=(-2, -1))
    assert np.all(right), f"torch: {value}\nreference: {expected}\n{script}"


@each_spec
def test_harden_equals_the_reference(spec: Spec, build_distribution) -> None:
    if spec.harden is None:
        pytest.skip(f"{spec.name}.toml has no [harden]")
    parameters = strategies.random_parameters(spec, np.random.default_rng(0), batch_shape=(4,))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    value = distribution.relaxed(distribution.noise(100, random_state=1))
    assert np.array_equal(
        build_distribution(spec, parameters).harden(value), distribution.harden(value)
    )
    hardened = distribution.harden(value)
    assert np.array_equal(
        build_distribution(spec, parameters).discrete_pmf(hardened) > 0, np.full((100, 4), True)
    )
    np.testing.assert_allclose(
        build_distribution(spec, parameters).discrete_pmf(hardened),
        distribution.discrete_pmf(hardened),
        rtol=1e-12,  # exp(log p) with |log p| up to 100: 100 ulps, and as many for the reference
    )


@each_spec
def test_a_discrete_distribution_relaxes_only_itself(spec: Spec, build, mild_parameters) -> None:
    if spec.kind != "discrete":
        pytest.skip(f"{spec.name}.toml is of the kind {spec.kind}")
    distribution = build(spec, mild_parameters(spec))
    value = distribution.sample((5,))
    assert distribution.discrete is distribution
    assert distribution.harden(value) is value
