"""Backward passes against finite differences of the reference, or of its stated surrogate."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st

import relaxit_torch
from parametrisation import each_spec
from relaxit_reference import Spec
from relaxit_reference.comparison.messages import reproduction
from relaxit_reference.domains import Independent, LogSimplex, Real, Simplex
from relaxit_reference.testing import strategies
from relaxit_reference.testing.gradients import curve, derivative

# Coordinates within which central differences of step 1e-4 resolve the maps: at temperature 0.1 the
# score moves by 1e-3. The ends of closed domains have only one side and are left out.
RANGES = {
    "temperature": (0.1, 10.0),
    "logits": (-5.0, 5.0),
    "probs": (0.01, 0.99),
    "dispersion": (0.01, 3.0),
}


def compare(name, numeric_and_error, output, leaf, along, script) -> None:
    """The derivative in one direction of one input, on both sides."""
    numeric, error = numeric_and_error
    (gradient,) = torch.autograd.grad(output, leaf, allow_unused=True, materialize_grads=True)
    found = float((gradient.cpu().numpy() * along).sum())
    size = float(np.abs(gradient.cpu().numpy() * along).sum())
    # Ten times the change by the extrapolation to a step of 0, plus the rounding of the sum.
    assert abs(found - numeric) <= 10 * error + 1e-9 * size, (
        f"derivative along {name}: torch {found}, finite differences {numeric}\n{script}"
    )


def directional(data, spec: Spec, distribution, parameters, argument, method: str, names) -> None:
    """Compares autograd of `method` with the reference, along a direction of one input."""
    inputs = {**parameters, "argument": argument}
    name = data.draw(st.sampled_from(names))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    reference_method = {"relax": "surrogate", "log_prob": "logpdf"}[method]

    def reference(moved: np.ndarray) -> np.ndarray:
        at = {**inputs, name: moved}
        instance = spec.reference_class(**{n: at[n] for n in parameters}, **spec.arguments)
        if method == "log_prob" and spec.discrete:
            # A parameter may move the possible values; the value stays the same one of them.
            at["argument"] = np.where(chosen, points_of(instance), 0).sum(0)
        if method == "relax":
            return instance.surrogate_from(origin, at["argument"])
        return instance.logpdf(at["argument"])

    def points_of(instance) -> np.ndarray:  # (points, *ones for samples, *batch, *event)
        points = instance.states()
        samples = (1,) * (argument.ndim - points.ndim + 1)
        return points.reshape(len(points), *samples, *points.shape[1:])

    origin = spec.reference_class(**parameters, **spec.arguments)
    if method == "log_prob" and spec.discrete:
        chosen = np.isclose(points_of(origin), argument, rtol=1e-9, atol=0)
        chosen = chosen.all(tuple(range(chosen.ndim - spec.event_dim, chosen.ndim)), keepdims=True)
        chosen &= np.cumsum(chosen, axis=0) == 1

    value = reference(inputs[name])
    counted = np.isfinite(value)  # log 0 of an impossible category moves nowhere
    cotangent = np.where(counted, random.normal(size=value.shape), 0)

    def numeric(moved: np.ndarray) -> np.ndarray:
        return cotangent * np.where(counted, reference(moved), 0)

    if name == "argument":
        domain = spec.relax.support if method == "log_prob" else Real()
    else:
        domain = spec.parameters[name].domain
    moved, along = curve(domain, inputs[name], random)
    leaves = {n: distribution.tensor(v).requires_grad_() for n, v in inputs.items()}
    instance = type(distribution.distribution)(
        **{n: leaves[n] for n in parameters}, **spec.arguments
    )
    found = getattr(instance, method)(leaves["argument"])
    output = torch.where(
        distribution.tensor(counted) > 0, distribution.tensor(cotangent) * found, 0
    ).sum()
    script = reproduction(spec, parameters, reference_method, argument)
    expected = derivative(
        lambda step: numeric(moved(step)),
        np.zeros(()),
        np.ones(()),
        terms=float(method == "log_prob"),
    )
    # Leaves out jumps within the step: at the end of the support, or at a tie in an earlier row.
    assume(np.isfinite(expected[0]))
    compare(name, expected, output, leaves[name], along, script)


@each_spec
@given(data=st.data())
def test_the_gradient_of_relax(data, spec: Spec, build_distribution) -> None:
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    parameters = data.draw(strategies.parameters(spec, ranges=RANGES))
    noise = data.draw(strategies.noise(spec, parameters, "float64"))
    distribution = build_distribution(spec, parameters)
    directional(data, spec, distribution, parameters, noise, "relax", [*parameters, "argument"])


@each_spec
@given(data=st.data())
def test_the_gradient_of_log_prob(data, spec: Spec, build_distribution) -> None:
    parameters = data.draw(strategies.parameters(spec, ranges=RANGES))
    distribution = build_distribution(spec, parameters)
    support = spec.relax.support
    each = support.of if isinstance(support, Independent) else support
    if isinstance(each, Simplex | LogSimplex):
        # At a possible value: the log density of an impossible category is -inf.
        value = distribution.relax(data.draw(strategies.noise(spec, parameters, "float64")))
    else:
        value = data.draw(strategies.values(spec, parameters, "float64", reach=8.0))
    names = [n for n in parameters if n != "temperature" or not spec.discrete]
    names += [] if spec.discrete else ["argument"]
    directional(data, spec, distribution, parameters, value, "log_prob", names)


@each_spec
def test_the_score_of_a_discrete_value_is_linear_in_it(spec: Spec, build_distribution) -> None:
    if not spec.relax.support.discrete:
        pytest.skip(f"values of {spec} are not on fixed points")
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    parameters = strategies.random_parameters(
        spec, np.random.default_rng(61), batch_shape=(50,), ranges=RANGES
    )
    distribution = build_distribution(spec, parameters)
    first, second = distribution.rvs((), 62), distribution.rvs((), 63)
    if spec.event_dim > 1:  # in each row, given those before it: here in the last one
        left = 1 - first.sum(-2, keepdims=True)  # one-hot, as one category is
        second = np.concatenate([first[..., :-1, :], left], axis=-2)
    value = distribution.tensor(first).requires_grad_()
    (gradient,) = torch.autograd.grad(distribution.distribution.log_prob(value).sum(), value)
    along = (gradient.cpu().numpy() * (second - first)).reshape(50, -1).sum(-1)
    np.testing.assert_allclose(
        along, distribution.logpdf(second) - distribution.logpdf(first), rtol=1e-12, atol=1e-12
    )


@pytest.mark.parametrize("without", [torch.no_grad, torch.inference_mode])
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
@each_spec
def test_a_call_without_gradient_leaves_the_gradient_of_the_next_call(
    spec: Spec, mild_parameters, device: str, dtype: torch.dtype, without
) -> None:
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    for names in spec.parameterisations():
        leaves = {
            name: torch.as_tensor(value, device=device).to(dtype).requires_grad_()
            for name, value in mild_parameters(spec, (3,), names=names).items()
        }
        distribution = getattr(relaxit_torch, spec.classes.torch)(
            **leaves, **spec.arguments, validate_args=False
        )
        with without():
            distribution.log_prob(distribution.sample())
        value = distribution.rsample()
        assert value.requires_grad
        output = value.sum() + distribution.log_prob(value.detach()).sum()
        found = torch.autograd.grad(output, list(leaves.values()), allow_unused=True)
        used = {name for name, gradient in zip(leaves, found, strict=True) if gradient is not None}
        assert used >= {*leaves} - {"temperature"}, f"no gradient of { ({*leaves} - used) }"


@pytest.mark.parametrize("score", [lambda c: c.sqrt(), lambda c: torch.xlogy(c, c)])
def test_an_infinite_gradient_at_a_closed_gate_is_not_nan(score) -> None:
    parameter = torch.zeros(1000, requires_grad=True)
    torch.manual_seed(0)
    for gate in (
        relaxit_torch.GaussianRelaxedBernoulli(parameter),
        relaxit_torch.HardConcrete(logits=parameter),
        relaxit_torch.StochasticTimesSmooth(logits=parameter),
        relaxit_torch.StochasticTimesSmooth(probs=parameter.sigmoid()),
    ):
        value = gate.rsample()
        assert (value == 0).any()
        (gradient,) = torch.autograd.grad(score(value).sum(), parameter)
        assert gradient.isfinite().all(), gate


@pytest.mark.parametrize("has_gradient", [False, True])
def test_the_factor_of_a_matrix_follows_it_only_if_it_has_a_gradient(has_gradient: bool) -> None:
    """A matrix without gradient is factorised once, when the distribution is made."""
    matrix = torch.eye(2, dtype=torch.float64).requires_grad_(has_gradient)
    distribution = relaxit_torch.LogisticNormalSoftmax(
        torch.zeros(2).double(), covariance_matrix=matrix
    )
    value = distribution.sample()
    before = distribution.log_prob(value)
    with torch.no_grad():
        matrix.mul_(4)
    anew = relaxit_torch.LogisticNormalSoftmax(torch.zeros(2).double(), covariance_matrix=matrix)
    expected = anew.log_prob(value) if has_gradient else before
    assert torch.equal(distribution.log_prob(value), expected)
