"""Both packages offer what the specifications say: classes, arguments, domains, documentation."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
import torch

import relaxit_reference
import relaxit_torch
from parametrisation import each_dtype, each_spec
from relaxit_reference import ReferenceDistribution, Spec, load_spec, load_specs
from relaxit_reference.domains import Domain, Independent, Interval
from relaxit_reference.spec import CLOSED_FORMS
from relaxit_reference.testing.strategies import accepted_and_refused, random_parameters
from relaxit_torch import RelaxedDistribution

DOCUMENTED = ["Density", "Shapes:", "Gradient:", "Args:", "Example:", "References:"]
"""The parts of a class's documentation, in order, after its sentence and its map."""

PACKAGES = {
    "torch": (relaxit_torch, RelaxedDistribution),
    "reference": (relaxit_reference, ReferenceDistribution),
}


def class_of(spec: Spec, package: str) -> Any:
    module, base = PACKAGES[package]
    name = getattr(spec.classes, package)
    found = getattr(module, name, None)
    if found is None:
        pytest.fail(
            f"{spec.name}.toml: classes.{package}: {module.__name__} has no class {name!r}: "
            f"write it in {module.__name__}/distributions/{spec.name}.py and export it"
        )
    if not issubclass(found, base):
        pytest.fail(f"{module.__name__}.{name} must derive from {base.__name__}")
    return found


def exported(package: str) -> dict[str, type]:
    module, base = PACKAGES[package]
    return {
        name: value
        for name, value in vars(module).items()
        if inspect.isclass(value) and issubclass(value, base) and value is not base
    }


def closure(domain: Domain) -> Domain:
    """A support with the end points that rounding may reach, which `support` accepts."""
    if isinstance(domain, Independent):
        return Independent(closure(domain.of))
    if isinstance(domain, Interval):
        return dataclasses.replace(domain, closed=(True, True))
    return domain


@pytest.mark.parametrize("package", PACKAGES)
@each_spec
def test_a_specification_names_a_class_in_the_module_of_its_own_name(
    spec: Spec, package: str
) -> None:
    module, _ = PACKAGES[package]
    assert class_of(spec, package).__module__ == f"{module.__name__}.distributions.{spec.name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_every_exported_distribution_has_a_specification(package: str) -> None:
    specified = {getattr(spec.classes, package) for spec in load_specs() if spec.kind != "map"}
    for name in exported(package):
        assert name in specified, f"no file in specs/ has classes.{package} = {name!r}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_missing_class_is_reported_by_name(package: str) -> None:
    spec = load_specs()[0]
    classes = dataclasses.replace(spec.classes, **{package: "Forgotten"})
    message = f"{spec.name}.toml: classes.{package}: relaxit_{package} has no class 'Forgotten'"
    with pytest.raises(pytest.fail.Exception, match=message):
        class_of(dataclasses.replace(spec, classes=classes), package)


@each_spec
def test_the_constructor_takes_the_parameters_of_the_specification(spec: Spec) -> None:
    base = load_spec(spec.name)
    switches = {name: False for variant in base.variants for name in variant.arguments}
    exclusive = {name for group in base.exclusive for name in group}
    expected = {}
    for name, parameter in base.parameters.items():
        missing = None if name in exclusive else inspect.Parameter.empty
        expected[name] = missing if parameter.default is None else parameter.default
    expected |= switches
    optional = {name: None for variant in base.variants for name in variant.parameters}

    def signature(package: str) -> dict[str, object]:
        arguments = inspect.signature(class_of(spec, package)).parameters
        return {name: argument.default for name, argument in arguments.items()}

    assert signature("reference") == expected | optional
    assert list(signature("reference")) == [*expected, *optional], "the order of the arguments"
    assert signature("torch") == {**expected, "validate_args": None} | optional
    in_order = [*expected, "validate_args", *optional]
    assert list(signature("torch")) == in_order, "the order of the arguments"


@each_spec
def test_arg_constraints_are_the_domains_of_the_specification(
    spec: Spec, build, mild_parameters
) -> None:
    # The constraints of an instance may depend on its counts.
    constraints = build(spec, mild_parameters(spec)).arg_constraints
    known = {name for each in load_spec(spec.name).with_variants() for name in each.parameters}
    assert set(constraints) == set(class_of(spec, "torch").arg_constraints) == known
    for name, parameter in spec.parameters.items():
        constraint, domain = constraints[name], parameter.domain
        assert constraint.event_dim == domain.event_dim, name
        for event, accepted in accepted_and_refused(domain):
            checked = bool(constraint.check(torch.tensor(event, dtype=torch.float64)))
            verb = "accept" if accepted else "refuse"
            assert checked == accepted, (
                f"{name} must be {domain.describe()}: arg_constraints must {verb} {event}"
            )


@each_dtype
@each_spec
def test_arg_constraints_accept_the_typical_range(spec: Spec, dtype: str, device: str) -> None:
    for names in spec.parameterisations():
        drawn = random_parameters(spec, np.random.default_rng(0), names=names, batch_shape=(200,))
        for name, value in drawn.items():
            tensor = torch.as_tensor(value, dtype=getattr(torch, dtype), device=device)
            accepted = class_of(spec, "torch").arg_constraints[name].check(tensor)
            assert accepted.all(), (
                f"arg_constraints refuse {name} = {tensor[~accepted][0].tolist()}"
            )


@each_spec
def test_support_is_that_of_the_specification(
    spec: Spec, build, mild_parameters, device: str
) -> None:
    support = build(spec, mild_parameters(spec)).support
    domain = closure(spec.relax.support)
    assert support.event_dim == domain.event_dim == spec.event_dim
    for event, accepted in accepted_and_refused(domain):
        checked = bool(support.check(torch.tensor(event, dtype=torch.float64, device=device)))
        verb = "accept" if accepted else "refuse"
        assert checked == accepted, f"values are {domain.describe()}: support must {verb} {event}"


@each_dtype
@each_spec
def test_support_accepts_the_points_of_the_specification(
    spec: Spec, dtype: str, build, mild_parameters, device: str
) -> None:
    parameters = mild_parameters(spec)
    distribution = build(spec, parameters, dtype)
    reference = spec.reference_class(**parameters, **spec.arguments)
    if spec.relax.support.discrete:
        values = spec.relax.support.states(reference.event_shape)
    else:
        free = reference.chart.chart_dim(reference.event_shape)
        values = reference.chart.from_chart(np.random.default_rng(0).uniform(-15, 15, (500, free)))
    accepted = distribution.support.check(
        torch.as_tensor(values, dtype=getattr(torch, dtype), device=device)
    )
    assert accepted.all(), f"support refuses {values[~accepted.cpu().numpy()][0]}"


@pytest.mark.parametrize("form", CLOSED_FORMS)
@each_spec
def test_closed_forms_are_those_of_the_specification(
    spec: Spec, form: str, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (2,)))
    middle = torch.full_like(distribution.sample(), 0.5)
    evaluate = {
        "cdf": lambda: distribution.cdf(middle),
        "icdf": lambda: distribution.icdf(middle),
        "entropy": distribution.entropy,
        "kl": lambda: torch.distributions.kl_divergence(distribution, distribution),
    }.get(form, lambda: getattr(distribution, form))
    # A discrete distribution has a mode, whether or not the specification asks for it.
    optional = {"mode"} if spec.relax.support.discrete else set()
    try:
        value = evaluate()
    except NotImplementedError:
        assert form not in spec.closed_forms, f"{spec.name}.toml lists {form}, {spec} has none"
        return
    assert form in {*spec.closed_forms, *optional}, f"{spec.name}.toml does not list {form}"
    is_event = form in ("icdf", "mean", "variance", "mode")
    assert value.shape == distribution.batch_shape + (distribution.event_shape if is_event else ())
    assert value.isfinite().all()


@each_spec
def test_the_documentation_has_all_its_parts_in_order(spec: Spec) -> None:
    documentation = inspect.cleandoc(class_of(spec, "torch").__doc__ or "")
    assert documentation.partition("\n")[0].endswith("."), "the first line must be a sentence"
    assert "$$" in documentation, "the map must be given as a formula"
    places = [documentation.find(part) for part in DOCUMENTED]
    missing = [part for part, place in zip(DOCUMENTED, places, strict=True) if place < 0]
    assert not missing, f"the class documentation lacks {missing}"
    assert places == sorted(places), f"the parts must come in the order {DOCUMENTED}"
    assert documentation.find("$$") < places[0], "the map must come before the density"
    arguments = documentation[places[3] : places[4]]
    for name in inspect.signature(class_of(spec, "torch")).parameters:
        assert f"\n    {name}: " in arguments, f"Args does not explain {name}"
    assert ">>> " in documentation[places[4] : places[5]], "the example must be a doctest"


@pytest.mark.parametrize("package", PACKAGES)
def test_everything_public_is_documented(package: str) -> None:
    module, _ = PACKAGES[package]
    for name, value in vars(module).items():
        if not name.startswith("_") and (inspect.isclass(value) or inspect.isfunction(value)):
            assert (value.__doc__ or "").strip(), f"{module.__name__}.{name} has no documentation"
