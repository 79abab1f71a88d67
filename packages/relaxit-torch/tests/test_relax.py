"""The same noise gives the same value, in torch and in the reference."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from relaxit_reference import Spec
from relaxit_reference.comparison.messages import reproduction
from relaxit_reference.comparison.rounding import noise_in_favour, relax_tolerance
from relaxit_reference.testing import strategies


@given(data=st.data())
def test_relax_equals_the_reference(data, spec: Spec, dtype: str, build_law) -> None:
    parameters = data.draw(strategies.parameters(spec, dtype=dtype))
    noise = data.draw(strategies.noise(spec, parameters, dtype))
    law = spec.reference_class(**parameters, **spec.arguments)
    value = build_law(spec, parameters, dtype).relax(noise)
    expected, tolerance = law.relax(noise), relax_tolerance(spec, parameters, noise, dtype)
    script = reproduction(spec, parameters, "relax", noise)
    if spec.event_dim > 1:
        compare_rows(spec, law, parameters, noise, value, dtype, script)
        return
    if not spec.relax.support.discrete:
        with np.errstate(invalid="ignore"):  # -inf - -inf, where they are equal
            equal = (np.abs(value - expected) <= tolerance) | (value == expected)
        assert np.all(equal), f"torch: {value}\n{script}"
        return
    # A discrete value is that of a relaxed one, or of scores, which rounding may have moved by the
    # tolerance: it must be one of the states that those within it are hardened to.
    assert np.all(spec.relax.support.contains(value)), f"torch: {value}\n{script}"
    soft, chosen = law.relaxed(noise), value == 1
    in_favour = law.harden(np.where(chosen, soft + tolerance, soft - tolerance))
    if "relax" in vars(type(law)):
        # Not hardened from a relaxed value: the noise itself decides, rounded like any number.
        in_favour = np.where(np.abs(noise - soft) <= tolerance, value, law.relax(noise))
    in_favour = np.where(value == law.relax(noise), value, in_favour)
    assert np.array_equal(in_favour, value), f"torch: {value}, relaxed: {soft}\n{script}"


def compare_rows(spec: Spec, law, parameters, noise, value, dtype: str, script: str) -> None:
    """Rows depend on the choices of those before them: they are those of noise that chooses so."""
    assert np.all(spec.relax.support.contains(value)), f"torch: {value}\n{script}"
    moved, by = noise_in_favour(law, noise, law.harden(value), dtype)
    expected = law.relax(moved)
    tolerance = np.zeros(())
    if not spec.relax.support.discrete:
        # A softmax changes by at most twice the relative size that its scores do.
        by = by if noise.ndim == value.ndim else by[..., None, :]
        change = 2 * by / np.asarray(parameters["temperature"])[..., None, None] * expected
        tolerance = relax_tolerance(spec, parameters, moved, dtype) + change
    right = np.all(np.abs(value - expected) <= tolerance, axis=(-2, -1))
    assert np.all(right), f"torch: {value}\nreference: {expected}\n{script}"


def test_harden_equals_the_reference(spec: Spec, build_law) -> None:
    if spec.harden is None:
        pytest.skip(f"{spec.name}.toml has no [harden]")
    parameters = strategies.random_parameters(spec, np.random.default_rng(0), batch_shape=(4,))
    law = spec.reference_class(**parameters, **spec.arguments)
    value = law.relaxed(law.noise(100, random_state=1))
    assert np.array_equal(build_law(spec, parameters).harden(value), law.harden(value))
    hardened = law.harden(value)
    assert np.array_equal(
        build_law(spec, parameters).discrete_pmf(hardened) > 0, np.full((100, 4), True)
    )
    np.testing.assert_allclose(
        build_law(spec, parameters).discrete_pmf(hardened),
        law.discrete_pmf(hardened),
        rtol=1e-12,  # exp(log p) with |log p| up to 100: 100 ulps, and as many for the reference
    )


def test_a_discrete_law_relaxes_none_but_itself(spec: Spec, build, mild_parameters) -> None:
    if spec.kind != "discrete":
        pytest.skip(f"{spec.name}.toml is of the kind {spec.kind}")
    distribution = build(spec, mild_parameters(spec))
    value = distribution.sample((5,))
    assert distribution.discrete is distribution
    assert distribution.harden(value) is value
