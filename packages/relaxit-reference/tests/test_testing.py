"""Tests of the test tools: they raise an alarm at a fault, and only then."""

from __future__ import annotations

import dataclasses
import re
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

import relaxit_reference
from parametrisation import each_spec
from relaxit_reference import BinaryConcrete, GumbelSoftmax, Spec, load_spec
from relaxit_reference.comparison import draws, messages
from relaxit_reference.comparison.quadrature import total_mass
from relaxit_reference.domains import Interval, Matrix, Simplex
from relaxit_reference.testing import strategies
from relaxit_reference.testing.statistics import (
    ALARM_RATE,
    chi_square,
    kolmogorov_smirnov,
    projections,
    two_sample,
)

N = 20_000


# Statistics.

DISTRIBUTIONS = {
    "one coordinate": BinaryConcrete(temperature=[0.7, 2.0, 5.0], logits=[3.0, 0.0, -1.0]),
    "two coordinates": GumbelSoftmax(temperature=1.3, probs=[0.2, 0.3, 0.5]),
    "two states": BinaryConcrete(temperature=1.0, probs=[0.1, 0.9], hard=True),
    "four states": GumbelSoftmax(temperature=1.0, logits=[0.0, 1.0, 2.0, -np.inf], hard=True),
}


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_total_mass_is_one_for_a_density(distribution: Any) -> None:
    np.testing.assert_allclose(total_mass(distribution), 1, rtol=0, atol=1e-8)
    assert np.shape(total_mass(distribution)) == distribution.batch_shape


@pytest.mark.parametrize("distribution", DISTRIBUTIONS.values(), ids=DISTRIBUTIONS)
def test_total_mass_sees_one_percent(distribution: Any) -> None:
    mass = total_mass(distribution, lambda x: distribution.logpdf(x) + np.log(1.01))
    np.testing.assert_allclose(mass, 1.01, rtol=0, atol=1e-8)


def test_total_mass_adds_point_masses() -> None:
    distribution = BinaryConcrete(
        temperature=1.0, probs=0.5
    )  # uniform, so that each atom has density 1
    density = SimpleNamespace(atoms=(0.0, 1.0), kind="mixed")
    spec = SimpleNamespace(relax=distribution.spec.relax, density=density, discrete=False)
    mixed = SimpleNamespace(spec=spec, batch_shape=(), event_shape=(), logpdf=distribution.logpdf)
    np.testing.assert_allclose(total_mass(mixed), 3, atol=1e-6)


def test_total_mass_refuses_what_it_cannot_integrate() -> None:
    with pytest.raises(ValueError, match="at most 3 coordinates, but got 4"):
        total_mass(GumbelSoftmax(temperature=1.0, probs=np.full(5, 0.2)))


@pytest.mark.parametrize("seed", range(5))
def test_kolmogorov_smirnov_alarms_at_five_percent_of_another_distribution(seed: int) -> None:
    random = np.random.default_rng(seed)
    right = random.logistic(size=N)
    wrong = np.where(random.random(N) < 0.05, -100.0, right)
    assert kolmogorov_smirnov(right, stats.logistic.cdf) > ALARM_RATE
    assert kolmogorov_smirnov(wrong, stats.logistic.cdf) < ALARM_RATE


@pytest.mark.parametrize("seed", range(5))
def test_two_sample_alarms_at_five_percent_of_another_distribution(seed: int) -> None:
    random = np.random.default_rng(seed)
    first, second = random.logistic(size=(2, N))
    wrong = np.where(random.random(N) < 0.05, 100.0, second)
    assert two_sample(first, second) > ALARM_RATE
    assert two_sample(first, wrong) < ALARM_RATE


@pytest.mark.parametrize("seed", range(5))
def test_chi_square_alarms_at_five_percent_of_another_distribution(seed: int) -> None:
    probabilities = np.array([0.5, 0.3, 0.2])
    random = np.random.default_rng(seed)
    right = random.multinomial(N, probabilities)
    wrong = random.multinomial(N, 0.95 * probabilities + [0.0, 0.0, 0.05])
    assert chi_square(right, probabilities) > ALARM_RATE
    assert chi_square(wrong, probabilities) < ALARM_RATE


def test_chi_square_of_what_is_impossible() -> None:
    assert chi_square(np.array([N, 0]), np.array([1.0, 0.0])) == 1
    assert chi_square(np.array([N - 1, 1]), np.array([1.0, 0.0])) == 0
    assert chi_square(np.array([N // 2, N // 2, 1]), np.array([0.5, 0.5, 0.0])) == 0


def test_chi_square_merges_rare_states() -> None:
    probabilities = np.array([0.5, 0.5 - 6e-4, *[1e-4] * 6])
    counts = np.random.default_rng(0).multinomial(N, probabilities)
    assert chi_square(counts, probabilities) > ALARM_RATE


def test_false_alarms_are_as_rare_as_stated() -> None:
    random = np.random.default_rng(0)
    p = [kolmogorov_smirnov(random.random(500), stats.uniform.cdf) for _ in range(400)]
    assert stats.kstest(p, stats.uniform.cdf).pvalue > 1e-3, "p-values must be uniform"


def test_projections_keep_the_coordinates_and_add_directions() -> None:
    coordinates = np.random.default_rng(0).normal(size=(7, 2))
    views = projections(coordinates, np.random.default_rng(1))
    assert views.shape == (7, 6)
    np.testing.assert_array_equal(views[:, :2], coordinates)
    assert projections(coordinates[:, :1], np.random.default_rng(1)).shape == (7, 1)


# Messages.


@given(arrays(np.float64, array_shapes(min_dims=0, max_dims=3, max_side=3)))
def test_a_literal_keeps_every_bit(array: Any) -> None:
    array = np.where(np.isnan(array), np.nan, array)
    read = eval(messages.literal(array), {"np": np})
    assert np.shape(read) == array.shape
    assert np.array_equal(read, array, equal_nan=True)
    numbers = ~np.isnan(array)
    assert np.array_equal(np.signbit(read)[numbers], np.signbit(array)[numbers])


@pytest.mark.parametrize("number", [np.inf, -np.inf, np.nan, -0.0, 5e-324, 0.1, 1 / 3, 2**1023.0])
def test_a_literal_of_a_number_is_python(number: float) -> None:
    read = eval(messages.literal(number), {"np": np})
    assert isinstance(read, float)
    assert np.float64(read).tobytes() == np.float64(number).tobytes()


@each_spec
def test_a_constructor_is_python(spec: Spec) -> None:
    parameters = draws.random_parameters(spec, np.random.default_rng(0), batch_shape=(2,))
    source = messages.constructor(spec, parameters)
    distribution = eval(source, {"np": np, "relaxit_reference": relaxit_reference})
    assert type(distribution) is spec.reference_class
    for name, value in {**parameters, **spec.arguments}.items():
        np.testing.assert_array_equal(getattr(distribution, name), value)
    assert re.match(r"other\.\w+\(", messages.constructor(spec, parameters, "other"))


@each_spec
def test_a_reproduction_prints_the_answer_of_the_reference(
    spec: Spec, capsys: pytest.CaptureFixture[str]
) -> None:
    parameters = draws.random_parameters(spec, np.random.default_rng(0))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    noise = distribution.noise(random_state=1)
    exec(messages.reproduction(spec, parameters, "relax", noise), {})
    assert capsys.readouterr().out.strip() == str(distribution.relax(noise))


# Strategies.


@each_spec
@given(data=st.data())
def test_parameters_lie_in_their_domains_and_make_a_distribution(data: Any, spec: Spec) -> None:
    parameters = data.draw(strategies.parameters(spec))
    assert tuple(parameters) in spec.parameterisations()
    for name, value in parameters.items():
        assert np.all(spec.parameters[name].domain.contains(value))
    spec.reference_class(**parameters, **spec.arguments)


@each_spec
@given(data=st.data())
def test_parameters_stay_in_given_ranges(data: Any, spec: Spec) -> None:
    parameters = data.draw(strategies.parameters(spec, ranges=spec.moderate))
    slack = 1e-12  # from the logarithmic scale and back
    for name, (low, high) in spec.moderate.items():
        # A simplex is normalised, and a range of matrices is a range of partial correlations.
        domain = spec.parameters[name].domain
        if name in parameters and not isinstance(domain, Simplex | Matrix):
            found = parameters[name][np.isfinite(parameters[name])]
            assert np.all((found >= low - slack) & (found <= high + slack))


@each_spec
@given(data=st.data())
def test_parameters_of_a_precision_are_numbers_of_it(data: Any, spec: Spec) -> None:
    for value in data.draw(strategies.parameters(spec, dtype=np.float32)).values():
        assert np.array_equal(value.astype(np.float32), value)


@each_spec
@given(data=st.data())
def test_parameters_have_the_batch_shape_that_is_asked_for(data: Any, spec: Spec) -> None:
    parameters = data.draw(strategies.parameters(spec, batch_shape=(2, 3)))
    assert spec.reference_class(**parameters, **spec.arguments).batch_shape == (2, 3)


@each_spec
@given(data=st.data())
def test_noise_has_the_shape_of_samples_batch_and_event(data: Any, spec: Spec) -> None:
    parameters = data.draw(strategies.parameters(spec))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    noise = data.draw(strategies.noise(spec, parameters, np.float64))
    end = (*distribution.batch_shape, *distribution.noise_shape)
    assert noise.shape in (end, (2, *end))
    low, high = draws.NOISE_RANGE[spec.noise.distribution]
    assert np.all((noise >= low) & (noise <= high))


@each_spec
@given(data=st.data())
def test_values_lie_in_the_support(data: Any, spec: Spec) -> None:
    parameters = data.draw(strategies.parameters(spec))
    distribution = spec.reference_class(**parameters, **spec.arguments)
    value = data.draw(strategies.values(spec, parameters, np.float64))
    assert value.shape == (*distribution.batch_shape, *distribution.event_shape)
    assert np.all(spec.relax.support.contains(value))


@each_spec
def test_random_parameters_lie_in_their_domains(spec: Spec) -> None:
    for names in spec.parameterisations():
        random = np.random.default_rng(0)
        parameters = draws.random_parameters(spec, random, names=names, batch_shape=(4,))
        assert tuple(parameters) == names
        for name, value in parameters.items():
            assert np.all(spec.parameters[name].domain.contains(value))
        distribution = spec.reference_class(**parameters, **spec.arguments)
        assert distribution.batch_shape == (4,)


@each_spec
def test_a_domain_is_probed_inside_at_an_end_outside_and_with_nan(spec: Spec) -> None:
    random = np.random.default_rng(0)
    for name, parameter in spec.parameters.items():
        domain = parameter.domain
        if name not in spec.counts:
            names = next(names for names in spec.parameterisations() if name in names)
            inside = draws.random_parameters(spec, random, names=names, batch_shape=(20,))[name]
            assert np.all(domain.contains(inside))
        events = draws.accepted_and_refused(domain)
        refused = [np.asarray(event) for event, accepted in events if not accepted]
        assert any(np.isnan(event).any() for event in refused), "NaN lies in no domain"
        assert any(not np.isnan(event).any() for event in refused), "something lies outside"
        listed = [np.asarray(event) for event, _ in events]
        for end in domain.end_points():
            assert any(np.array_equal(end, event) for event in listed)
        assert domain.end_points(), "the ends are probed"


def test_an_end_point_is_accepted_where_it_belongs_to_the_domain() -> None:
    hard = load_spec("binary_concrete").parameters["probs"].domain
    assert dict(draws.accepted_and_refused(hard))[0.0] is False
    assert isinstance(hard, Interval)
    closed = type(hard)(0.0, 1.0, (True, False))
    found = dict(draws.accepted_and_refused(closed))
    assert (found[0.0], found[1.0]) == (True, False)


def test_a_parameter_without_a_typical_range_cannot_be_drawn() -> None:
    spec = load_spec("binary_concrete")
    bare = dataclasses.replace(spec.parameters["temperature"], typical=None)
    spec = dataclasses.replace(spec, parameters={**spec.parameters, "temperature": bare})
    with pytest.raises(ValueError, match="temperature: no typical range to draw from"):
        draws.random_parameters(spec, np.random.default_rng(0))
