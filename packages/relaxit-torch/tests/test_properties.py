"""The properties that specifications state: limits, symmetries, invariances, gradient bias."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
import torch

from parametrisation import each_spec
from relaxit_reference import Spec, load_specs
from relaxit_reference.domains import Independent, Interval
from relaxit_reference.spec import Property
from relaxit_reference.testing import strategies
from relaxit_reference.testing.properties import check_property
from relaxit_reference.testing.statistics import ALARM_RATE, chi_square, sample_against_density

PROPERTIES = [
    pytest.param(variant, claim, id=f"{variant}: {claim}")
    for spec in load_specs()
    for variant in spec.with_variants()
    for claim in variant.properties
]


@pytest.mark.equivalence
@pytest.mark.parametrize(("of", "claim"), PROPERTIES)
def test_the_property_holds(of: Spec, claim: Property, build_distribution) -> None:
    def pullback(parameters, noise, cotangent, name):
        subject = build_distribution(of, parameters)
        leaves = {n: subject.tensor(value).requires_grad_() for n, value in parameters.items()}
        distribution = type(subject.distribution)(**leaves, **of.arguments)
        value = distribution.relax(subject.tensor(noise))
        (gradient,) = torch.autograd.grad(value, leaves[name], subject.tensor(cotangent))
        return gradient.cpu().numpy()

    check_property(claim, of, lambda parameters: build_distribution(of, parameters), pullback)


@pytest.mark.parametrize("temperature", [1e-3, 1e9])
@each_spec
def test_the_distribution_of_hard_samples_does_not_depend_on_the_temperature(
    temperature: float, spec: Spec, build_distribution
) -> None:
    if not spec.relax.support.discrete or "temperature" not in spec.parameters:
        pytest.skip(f"samples of {spec} are not hard, or have no temperature")
    parameters = strategies.random_parameters(
        spec, np.random.default_rng(25), ranges={"logits": (-2.0, 2.0)}
    )
    parameters["temperature"] = np.asarray(temperature)
    sample = build_distribution(spec, parameters, "float32").rvs(20_000, 26)
    reference = spec.reference_class(**parameters, **spec.arguments)
    assert sample_against_density(sample, reference) > ALARM_RATE


@pytest.mark.parametrize("temperature", [0.05, 0.7, 5.0])
@each_spec
def test_the_hardened_distribution_is_the_discrete_one_at_temperature(
    temperature: float, spec: Spec, build_distribution
) -> None:
    if (
        spec.harden is None
        or spec.harden.matches != "distribution"
        or "temperature" not in spec.parameters
    ):
        pytest.skip(f"{spec.name}.toml does not say that hardening is exact at every temperature")
    parameters = strategies.random_parameters(
        spec, np.random.default_rng(21), ranges={"logits": (-2.0, 2.0)}
    )
    parameters["temperature"] = np.asarray(temperature)
    distribution = build_distribution(spec, parameters, "float32")
    hardened = distribution.harden(distribution.rvs(20_000, 22))
    states = np.unique(hardened, axis=0)
    counts = np.array(
        [np.sum(np.all((hardened == s).reshape(len(hardened), -1), 1)) for s in states]
    )
    pmf = spec.reference_class(**parameters, **spec.arguments).discrete_pmf(states)
    unseen = max(0.0, 1 - pmf.sum())
    assert chi_square(np.append(counts, 0), np.append(pmf, unseen)) > ALARM_RATE


@pytest.mark.parametrize("temperature", [0.05, 0.7, 5.0])
@each_spec
def test_every_pair_of_hardened_entries_has_the_discrete_distribution_at_temperature(
    temperature: float, spec: Spec, build_distribution
) -> None:
    support = spec.relax.support
    if not (isinstance(support, Independent) and isinstance(support.of, Interval)):
        pytest.skip(f"{spec} is no vector of relaxed Bernoulli variables")
    parameters = strategies.random_parameters(
        spec,
        np.random.default_rng(23),
        names=spec.parameterisations()[0],  # by a matrix: its parts are those of the pairs
        categories=4,
        ranges=spec.moderate,
    )
    parameters["temperature"] = np.asarray(temperature)
    distribution = build_distribution(spec, parameters, "float32")
    hardened = distribution.harden(distribution.rvs(20_000, 24))
    for pair in itertools.combinations(range(4), 2):
        of_pair = {name: _entries(spec, name, value, pair) for name, value in parameters.items()}
        states = np.array(list(itertools.product([0.0, 1.0], repeat=2)))
        counts = [np.all(hardened[:, pair] == state, axis=1).sum() for state in states]
        pmf = spec.reference_class(**of_pair, **spec.arguments).discrete_pmf(states)
        assert chi_square(np.array(counts), pmf) > ALARM_RATE, f"entries {pair}"


def _entries(spec: Spec, name: str, value: np.ndarray, pair: tuple[int, int]) -> np.ndarray:
    """The part of a number, vector or matrix that belongs to a pair of components."""
    index: tuple[Any, ...] = np.ix_(*[pair] * spec.parameters[name].domain.event_dim)
    return value[(..., *index)]
