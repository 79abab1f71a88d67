"""Samples follow the reference. Seeds are fixed; each test alarms with probability 1e-6."""

from __future__ import annotations

import numpy as np
import pytest

from parametrisation import each_dtype, each_spec, each_spec_and_parameters
from relaxit_reference import Spec
from relaxit_reference.testing import statistics, strategies
from relaxit_reference.testing.statistics import ALARM_RATE

SAMPLES = 20_000


@each_dtype
@each_spec_and_parameters
def test_samples_follow_the_reference(
    spec: Spec, names: tuple[str, ...], dtype: str, build_distribution
) -> None:
    parameters = strategies.random_parameters(
        spec,
        np.random.default_rng(31),
        names=names,
        ranges=spec.moderate,
        dtype=dtype,
    )
    reference = spec.reference_class(**parameters, **spec.arguments)
    sample = build_distribution(spec, parameters, dtype).rvs(SAMPLES, 32)
    chart = reference.chart
    if "cdf" in spec.closed_forms and not spec.density.atoms:
        assert statistics.kolmogorov_smirnov(sample, reference.cdf) > ALARM_RATE
    if spec.discrete or chart.chart_dim(reference.event_shape) <= 2:
        assert statistics.sample_against_density(sample, reference) > ALARM_RATE
    if spec.density.kind == "continuous":
        views = statistics.projections(chart.to_chart(sample), np.random.default_rng(33))
        other = chart.to_chart(reference.rvs(SAMPLES, 34))
        others = statistics.projections(other, np.random.default_rng(33))
        for view, expected in zip(views.T, others.T, strict=True):
            assert statistics.two_sample(view, expected) > ALARM_RATE


@pytest.mark.parametrize("moment", ["mean", "variance", "mode", "entropy"])
@each_spec
def test_closed_forms_equal_the_reference(moment: str, spec: Spec, build) -> None:
    if moment not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the {moment}")
    parameters = strategies.random_parameters(spec, np.random.default_rng(35), batch_shape=(20,))
    found = getattr(build(spec, parameters), moment)
    found = found() if callable(found) else found
    name = {"variance": "var"}.get(moment, moment)
    expected = getattr(spec.reference_class(**parameters, **spec.arguments), name)()
    # Logits of up to 50 are subtracted from their logsumexp: 16 roundings of that size.
    np.testing.assert_allclose(
        found.cpu().numpy(), expected, rtol=1e-14, atol=16 * 50 * np.finfo(float).eps
    )


@each_spec
def test_the_mean_and_variance_are_those_of_samples(spec: Spec, build) -> None:
    if "mean" not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the mean")
    parameters = strategies.random_parameters(
        spec, np.random.default_rng(36), batch_shape=(5,), ranges=spec.moderate
    )
    distribution = build(spec, parameters)
    sample = distribution.sample((SAMPLES,))
    deviation = sample.std(0) / SAMPLES**0.5
    # A normal deviate exceeds 6 with probability 2e-9; there are at most 15 of them.
    assert bool(((sample.mean(0) - distribution.mean).abs() <= 6 * deviation + 1e-12).all())
    square = (sample - distribution.mean) ** 2
    assert bool(
        (
            (square.mean(0) - distribution.variance).abs()
            <= 6 * square.std(0) / SAMPLES**0.5 + 1e-12
        ).all()
    )


@pytest.mark.parametrize("function", ["cdf", "icdf"])
@each_spec
def test_cdf_and_icdf_equal_the_reference(
    function: str, spec: Spec, build, build_distribution
) -> None:
    if function not in spec.closed_forms:
        pytest.skip(f"{spec.name}.toml lists no closed form of the {function}")
    parameters = strategies.random_parameters(spec, np.random.default_rng(37), ranges=spec.moderate)
    reference = spec.reference_class(**parameters, **spec.arguments)
    levels = np.linspace(0.001, 0.999, 99)
    argument = levels if function == "icdf" else reference.ppf(levels)
    found = getattr(build(spec, parameters), function)(
        build_distribution(spec, parameters).tensor(argument)
    )
    expected = reference.ppf(levels) if function == "icdf" else reference.cdf(argument)
    # Logits of at most 7, divided or multiplied by temperatures of at most 5.
    np.testing.assert_allclose(found.cpu().numpy(), expected, rtol=1e-13, atol=1e-13)
