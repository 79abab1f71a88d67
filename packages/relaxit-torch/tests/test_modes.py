"""Samplers and densities give the same in every mode of torch, with validation on."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import pytest
import torch
from torch.utils.checkpoint import checkpoint

from parametrisation import each_spec, each_spec_and_parameters
from relaxit_reference import Spec

ROUNDING: dict[str, Any] = {"rtol": 1e-12, "atol": 1e-12}
MANY = 5_000
"""Rows of a batch: more numbers than shortcuts for small draws would take."""


@pytest.fixture
def leaves(build, mild_parameters):
    """`leaves(spec, batch_shape)`: a distribution, how to make it from tensors, and the tensors."""

    def leaves(spec: Spec, batch_shape=(), dtype="float64", names=None):
        options = {} if names is None else {"names": names}
        parameters = mild_parameters(spec, batch_shape, **options)
        distribution = build(spec, parameters, dtype, validate_args=True)
        given = distribution._given
        tensors = {n: v.detach() for n, v in given.items() if isinstance(v, torch.Tensor)}

        def make(*values):
            tensors_by_name = dict(zip(tensors, values, strict=True))
            return type(distribution)(**tensors_by_name, **spec.arguments, validate_args=True)

        return distribution, make, list(tensors.values())

    return leaves


def outputs(distribution, noise, value):
    return distribution.relax(noise), distribution.log_prob(value)


@pytest.mark.filterwarnings("ignore:`torch.jit.(trace|script)` is deprecated")
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")
@each_spec
def test_a_traced_sampler_draws_and_scores(spec: Spec, leaves) -> None:
    _, make, tensors = leaves(spec, (MANY,))

    def sample(*values):
        distribution = make(*values)
        value = distribution.sample() if not distribution.has_rsample else distribution.rsample()
        return value, distribution.log_prob(value.detach())

    traced = torch.jit.trace(sample, tuple(tensors), check_trace=False)
    torch.manual_seed(0)
    value, log_prob = traced(*tensors)
    again, _ = traced(*tensors)
    expected = make(*tensors)
    assert value.shape == expected.batch_shape + expected.event_shape
    if not expected.event_shape or spec.kind != "discrete":
        assert (value != again).any(), "the noise is drawn anew"
    torch.testing.assert_close(log_prob, expected.log_prob(value), **ROUNDING)


@each_spec
def test_export_of_a_sampler_and_its_density(spec: Spec, leaves) -> None:
    distribution, make, tensors = leaves(spec, (3,))

    class Program(torch.nn.Module):
        def forward(self, noise, value, *values):
            return outputs(make(*values), noise, value)

    noise, value = distribution.noise(), distribution.sample()
    exported = torch.export.export(Program(), (noise, value, *tensors))
    found = exported.module()(noise, value, *tensors)
    torch.testing.assert_close(found, outputs(distribution, noise, value), **ROUNDING)


@pytest.mark.parametrize("lower", [torch.bfloat16, torch.float16], ids=str)
@each_spec_and_parameters
def test_autocast_changes_nothing(spec: Spec, names, lower, leaves) -> None:
    distribution, make, tensors = leaves(spec, (3,), "float32", names)
    given = [tensor.requires_grad_() for tensor in tensors]
    noise, value = distribution.noise((4,)), distribution.sample((4,))
    plain = outputs(make(*given), noise, value)
    with torch.autocast("cpu", lower):
        found = outputs(make(*given), noise, value)
        torch.manual_seed(0)
        drawn = make(*given).sample((4,))
        moments = [moment(make(*given)) for moment in MOMENTS if _exists(moment, distribution)]
    torch.testing.assert_close(found, plain, rtol=0, atol=0)
    torch.manual_seed(0)
    torch.testing.assert_close(drawn, make(*given).sample((4,)), rtol=0, atol=0)
    expected = [moment(make(*given)) for moment in MOMENTS if _exists(moment, distribution)]
    torch.testing.assert_close(moments, expected, rtol=0, atol=0)
    for one, other in zip(found, plain, strict=True):
        if one.requires_grad:
            gradients = [
                torch.autograd.grad(x.sum(), given, allow_unused=True) for x in (one, other)
            ]
            torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)


MOMENTS = (
    lambda d: d.mean,
    lambda d: d.variance,
    lambda d: d.entropy(),
    lambda d: d.count(torch.full(d.event_shape, 1 / 3)) + d.truncation_error,
    lambda d: d.projected_covariance,
    lambda d: torch.distributions.kl_divergence(d, d),
)


def _exists(moment, distribution) -> bool:
    try:
        moment(distribution)
    except (NotImplementedError, AttributeError):
        return False
    return True


@each_spec
def test_vmap_with_validation_is_the_batch(spec: Spec, leaves) -> None:
    distribution, make, tensors = leaves(spec, (5,))
    noise, value = distribution.noise(), distribution.sample()

    def evaluate(noise, value, *values):
        return outputs(make(*values), noise, value)

    found = torch.func.vmap(evaluate)(noise, value, *tensors)
    torch.testing.assert_close(found, outputs(distribution, noise, value), **ROUNDING)
    drawn = torch.func.vmap(lambda *values: make(*values).sample(), randomness="different")(
        *tensors
    )
    assert drawn.shape == value.shape


@each_spec
def test_a_checkpointed_sample_has_the_same_gradient(spec: Spec, leaves) -> None:
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    _, make, tensors = leaves(spec, (3,))
    given = [tensor.requires_grad_() for tensor in tensors]

    def loss(*values):
        return make(*values).rsample((2,)).square().sum()

    gradients = []
    for run in (loss, lambda *values: checkpoint(loss, *values, use_reentrant=False)):
        torch.manual_seed(0)
        gradients.append(torch.autograd.grad(run(*given), given, allow_unused=True))
    torch.testing.assert_close(*gradients, **ROUNDING)


@each_spec
def test_an_empty_batch_gives_empty_tensors(spec: Spec, leaves) -> None:
    distribution, make, tensors = leaves(spec, (3,))
    empty = make(*[tensor[:0] if tensor.shape[:1] == (3,) else tensor for tensor in tensors])
    assert empty.batch_shape == (0,)
    value = empty.sample((2,))
    assert value.shape == (2, 0, *distribution.event_shape)
    assert empty.log_prob(value).shape == (2, 0)
    assert distribution.sample((0,)).shape == (0, 3, *distribution.event_shape)


@each_spec
def test_inference_mode_samples_and_scores(spec: Spec, leaves) -> None:
    distribution, make, tensors = leaves(spec, (3,))
    with torch.inference_mode():
        made = make(*tensors)
        value = made.sample((2,))
        found = made.log_prob(value)
    torch.testing.assert_close(found, distribution.log_prob(value.clone()), **ROUNDING)


@each_spec
def test_parameters_are_read_only(spec: Spec, leaves) -> None:
    distribution, _, _ = leaves(spec)
    known = [*distribution._given, *distribution._switches, "hard"]
    for name in known:
        with pytest.raises(AttributeError, match=f"{name} of .* is read-only: make a new"):
            setattr(distribution, name, getattr(distribution, name))


@pytest.mark.parametrize("precision", ["bfloat16", "float64"])
@each_spec
def test_a_distribution_of_leaves_is_copied_and_pickled(spec: Spec, precision, leaves) -> None:
    _, make, tensors = leaves(spec, (3,), precision)
    made = make(*[tensor.requires_grad_() for tensor in tensors])
    made.sample()
    for other in (copy.deepcopy(made), pickle.loads(pickle.dumps(made)), made.expand((2, 3))):
        torch.manual_seed(0)
        value = other.sample()
        torch.manual_seed(0)
        assert torch.equal(value, made.expand(other.batch_shape).sample())
