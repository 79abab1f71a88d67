"""An error about bad input says which argument, what is allowed and what was given."""

from __future__ import annotations

import itertools
import re

import numpy as np
import pytest
import torch
from torch import Tensor

from parametrisation import each_dtype, each_spec
from relaxit_reference import Spec
from relaxit_reference.testing.strategies import accepted_and_refused


def refused(what: str, call, *arguments, error: type[Exception] = ValueError, **named) -> str:
    """The message with which `call(*arguments, **named)` refuses; it fails where it does not."""
    try:
        call(*arguments, **named)
    except error as raised:
        return str(raised)
    pytest.fail(f"{what} was accepted")


def assert_names(message: str, name: str, domain, event: object, index: tuple) -> None:
    """`temperature must be positive and finite, but got -1.0 at index (1,)`.

    Of a vector or a matrix the entry or row that is at fault, and what it must be, may be named.
    """
    pattern = (
        r"(?P<name>\w+) must be (?P<domain>[a-z0-9].+), but got (?P<got>.+) at index (?P<at>.+)"
    )
    match = re.fullmatch(pattern, message)
    assert match, f"not of the form 'NAME must be DOMAIN, but got VALUE': {message}"
    assert match["name"] == name, message
    any_value = torch.zeros((2,) * (1 + domain.event_dim))
    parts = {words for words, _ in domain.parts(any_value)}
    assert match["domain"] in {str(domain), *parts}, message
    at = eval(match["at"])
    assert at[: len(index)] == index, message
    entry = np.asarray(event)[at[len(index) :]].tolist()
    assert match["got"] == str(entry), message


def outside(spec: Spec, mild_parameters):
    """Yields name, event and parameters of batch shape (3,) with the event at index 1."""
    for names in spec.parameterisations():
        for name in names:
            for event, accepted in events_of(spec, name, mild_parameters(spec, names=names)):
                parameters = mild_parameters(spec, (3,), names=names)
                parameters[name][1] = event
                if not accepted:
                    yield name, event, parameters


def events_of(spec: Spec, name: str, parameters) -> list:
    """Events of the size of a parameter, each with whether it is accepted."""
    shape = parameters[name].shape
    return accepted_and_refused(spec.parameters[name].domain, *shape[-1:])


@each_spec
def test_a_parameter_outside_its_domain_is_refused_by_name_domain_and_value(
    spec: Spec, build, mild_parameters
) -> None:
    for name, event, parameters in outside(spec, mild_parameters):
        message = refused(f"{name} = {event}", build, spec, parameters)
        assert_names(
            message, name, build(spec, mild_parameters(spec)).arg_constraints[name], event, (1,)
        )


@each_spec
def test_a_number_outside_its_domain_is_refused(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        for name in names:
            if spec.parameters[name].shape:
                continue
            given = mild_parameters(spec, names=names)
            for event, accepted in accepted_and_refused(spec.parameters[name].domain):
                if accepted:
                    continue
                message = refused(f"{name} = {event}", build, spec, {**given, name: event})
                assert re.fullmatch(rf"{name} must be .+, but got {event}", message)


@each_dtype
@each_spec
def test_the_ends_that_belong_to_a_domain_are_accepted(
    spec: Spec, dtype: str, build, mild_parameters
) -> None:
    for names in spec.parameterisations():
        for name in names:
            for event, accepted in events_of(spec, name, mild_parameters(spec, names=names)):
                if accepted:
                    parameters = mild_parameters(spec, (3,), names=names)
                    parameters[name][1] = event
                    distribution = build(spec, parameters, dtype)
                    noise = distribution.noise((100,))
                    value = distribution.relax(noise)
                    log_prob = distribution.log_prob_from_noise(noise)
                    assert distribution.support.check(value).all(), f"{name} = {event}"
                    assert log_prob.isfinite().all(), f"{name} = {event}"
                    assert distribution.log_prob(value).isfinite().all(), f"{name} = {event}"


@each_spec
def test_exactly_one_of_an_exclusive_group_must_be_given(
    spec: Spec, build, mild_parameters
) -> None:
    everything: dict[str, Tensor] = {}
    for names in spec.parameterisations():
        everything |= mild_parameters(spec, names=names)
    for group in spec.exclusive:
        listed = ", ".join(group)
        others = next(names for names in spec.parameterisations() if group[0] in names)
        without = {name: everything[name] for name in others if name not in group}
        for count in range(len(group) + 1):
            for members in itertools.combinations(group, count):
                if count == 1:
                    continue
                given = {**without, **{name: everything[name] for name in members}}
                for checked in (True, False):
                    what = f"giving {members or 'none'} of {listed}"
                    message = refused(what, build, spec, given, validate_args=checked)
                    found = " and ".join(members) or "none"
                    expected = f"exactly one of {listed} must be given, but got {found}"
                    assert message == expected


@pytest.mark.parametrize("validate_args", [True, False])
@each_spec
def test_batch_shapes_that_do_not_broadcast_are_refused(
    spec: Spec, validate_args: bool, build, mild_parameters
) -> None:
    for names in spec.parameterisations():
        for name in names if len(names) > 1 else ():
            parameters = mild_parameters(spec, (3,), names=names)
            parameters[name] = mild_parameters(spec, (2,), names=names)[name]
            what = f"{name} of batch shape (2,) among (3,)"
            message = refused(what, build, spec, parameters, validate_args=validate_args)
            assert "must broadcast" in message
            assert f"{name} (2,)" in message


@pytest.mark.parametrize("validate_args", [True, False])
@each_spec
def test_a_parameter_without_its_event_dimensions_is_refused(
    spec: Spec, validate_args: bool, build, mild_parameters
) -> None:
    for names in spec.parameterisations():
        for name in names:
            if spec.parameters[name].shape:
                parameters = {**mild_parameters(spec, names=names), name: np.asarray(0.5)}
                what = f"{name} of shape ()"
                message = refused(what, build, spec, parameters, validate_args=validate_args)
                assert message.startswith(f"{name} must have at least")
                assert message.endswith("but got shape ()")


@pytest.mark.parametrize("validate_args", [True, False])
@each_spec
def test_a_value_or_noise_of_the_wrong_shape_is_refused(
    spec: Spec, validate_args: bool, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (4,)), validate_args=validate_args)
    noise = distribution.noise()
    value = distribution.relax(noise)
    calls = [
        ("value", distribution.log_prob, value),
        ("noise", distribution.relax, noise),
        ("noise", distribution.log_prob_from_noise, noise),
    ]
    for name, call, right in calls:
        wrong = {"a batch of 2": right[:2], "a batch of 5": torch.cat([right, right[:1]])}
        if right.dim() > 1:
            wrong["a smaller event"] = right[..., :-1]
            wrong["a larger event"] = torch.cat([right, right[..., :1]], -1)
            wrong["no event"] = right[..., 0]
        for what, tensor in wrong.items():
            message = refused(f"{name} with {what}", call, tensor)
            assert message.startswith(f"{name} must have a shape that ends with")
            assert str(tuple(right.shape)) in message
            assert message.endswith(f"but got {tuple(tensor.shape)}")


@each_spec
def test_a_value_outside_the_support_is_refused(
    spec: Spec, build, mild_parameters, device: str
) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), validate_args=True)
    unchecked = build(spec, mild_parameters(spec, (3,)), validate_args=False)
    support = distribution.support
    for event, _ in accepted_and_refused(spec.relax.support, *distribution.event_shape[-1:]):
        value = distribution.sample((2,))
        value[1, 2] = torch.as_tensor(event, dtype=value.dtype, device=device)
        if support.check(value).all():
            assert distribution.log_prob(value).shape == (2, 3)
            continue
        message = refused(f"a value {event}", distribution.log_prob, value)
        assert_names(message, "value", support, event, (1, 2))
        assert unchecked.log_prob(value).shape == (2, 3)


@each_spec
def test_cdf_and_icdf_refuse_what_is_outside(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), validate_args=True)
    for form in {"cdf", "icdf"} & set(spec.closed_forms):
        for bad in (torch.nan, torch.inf, *([-0.5, 1.5] if form == "icdf" else [])):
            value = torch.full_like(distribution.sample(), 0.5)
            value[1] = bad
            message = refused(f"{form}({bad})", getattr(distribution, form), value)
            assert re.fullmatch(rf"value must be .+, but got {bad} at index \(1,\)", message)


@each_spec
def test_a_parameter_of_the_wrong_type_is_refused_by_name(
    spec: Spec, build, mild_parameters
) -> None:
    for names in spec.parameterisations():
        given = mild_parameters(spec, names=names)
        for name in names:
            for wrong in ("warm", object(), {"a": 1.0}):
                what = f"{name} = {wrong!r}"
                message = refused(what, build, spec, {**given, name: wrong}, error=TypeError)
                expected = f"{name} must be a number or a tensor, but got {wrong!r}"
                assert message == expected


@each_spec
def test_complex_parameters_are_refused_by_name(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        given = mild_parameters(spec, names=names)
        for name in names:
            wrong = torch.as_tensor(given[name]) * (1 + 1j)
            what = f"a complex {name}"
            message = refused(what, build, spec, {**given, name: wrong}, error=TypeError)
            assert message.startswith(f"{name} must be "), message


@each_spec
def test_without_validation_no_value_is_checked(spec: Spec, build, mild_parameters) -> None:
    for _, _, parameters in outside(spec, mild_parameters):
        distribution = build(spec, parameters, validate_args=False)
        assert distribution.sample((2,)).shape[:2] == (2, 3)
        distribution.log_prob(torch.full_like(distribution.sample(), torch.nan))


@each_spec
def test_the_default_of_torch_decides_about_validation(spec: Spec, build, mild_parameters) -> None:
    name, event, parameters = next(iter(outside(spec, mild_parameters)))
    default = torch.distributions.Distribution._validate_args
    try:
        torch.distributions.Distribution.set_default_validate_args(False)
        build(spec, parameters)
        torch.distributions.Distribution.set_default_validate_args(True)
        refused(f"{name} = {event}", build, spec, parameters)
    finally:
        torch.distributions.Distribution.set_default_validate_args(default)


@each_spec
def test_whole_numbers_are_numbers(spec: Spec, build, mild_parameters, device: str) -> None:
    for names in spec.parameterisations():
        for name in names if len(names) > 1 else ():
            if spec.parameters[name].shape or not spec.parameters[name].domain.contains(1.0):
                continue
            given = mild_parameters(spec, (3,), names=names)
            real = build(spec, {**given, name: 1.0}, "float32")
            noise = real.noise((4,))
            for one in (1, torch.ones(3, dtype=torch.int64, device=device)):
                whole = build(spec, {**given, name: one}, "float32")
                assert whole.dtype == torch.float32
                assert torch.equal(whole.relax(noise), real.relax(noise))
