"""No NaN anywhere in the numeric range of the interface, and nothing clamped away."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

import relaxit_torch
from parametrisation import each_spec
from relaxit_reference import Spec, load_specs
from relaxit_reference.comparison.draws import NOISE_RANGE
from relaxit_reference.domains import (
    Arrangement,
    Domain,
    Independent,
    Interval,
    Matrix,
    Simplex,
)
from relaxit_reference.testing.strategies import (
    accepted_and_refused,
    random_parameters,
)

pytestmark = pytest.mark.equivalence

PRECISIONS = ["float16", "bfloat16", "float32", "float64"]
BATCH = 400


def specs_where(condition: Callable[[Spec], bool]) -> pytest.MarkDecorator:
    """Runs a test for the specifications to which it applies."""
    specs = [
        variant for spec in load_specs() if spec.kind != "map" for variant in spec.with_variants()
    ]
    return pytest.mark.parametrize("of", [spec for spec in specs if condition(spec)], ids=str)


class Extremes:
    """Numbers in [0, 1], often its ends, from which `random_parameters` makes parameters."""

    def __init__(self, seed: int) -> None:
        self.generator = np.random.default_rng(seed)

    def random(self, shape: tuple[int, ...]) -> np.ndarray:
        inside = self.generator.random(shape)
        return np.choose(self.generator.integers(4, size=shape), [0.0, 0.5, 1.0, inside])


def each(domain: Domain) -> Domain:
    """The domain of each entry of a vector, or of each row."""
    return domain.of if isinstance(domain, Independent) else domain


def nearest_corner(domain: Domain, value: torch.Tensor) -> torch.Tensor:
    """Where values saturate: the vertex of the simplex, or the end of the interval."""
    if isinstance(domain, Simplex):
        return torch.nn.functional.one_hot(value.argmax(-1), value.shape[-1]).to(value.dtype)
    assert isinstance(domain, Interval)
    return (value > (domain.low + domain.high) / 2).to(value.dtype)


def rounded(value, precision: str) -> np.ndarray:
    return torch.as_tensor(value, dtype=getattr(torch, precision)).double().numpy()


@pytest.fixture(scope="session")
def extreme(build, leaves):
    """`extreme(spec, names, precision)`: parameters that collect gradients, their distribution, and
    noise. Mixtures of the ends, the middle and the inside of the typical ranges and of the noise.
    """

    def extreme(spec: Spec, names: tuple[str, ...], precision: str):
        extremes: Any = Extremes(seed=0)  # stands for a generator, of which only `random` is used
        drawn = random_parameters(spec, extremes, names=names, batch_shape=(BATCH,))
        for name in names:
            parameter = spec.parameters[name]
            domain = each(parameter.domain)
            if not domain.event_dim:
                # Skips numbers that rounding moves out of the domain, such as 1 - 1e-6.
                held = domain.contains(rounded(drawn[name], precision))
                assert parameter.typical is not None
                middle = domain.place(np.full(drawn[name].shape, 0.5), parameter.typical)
                drawn[name] = np.where(held, drawn[name], middle)
        parameters = leaves(drawn, precision)
        # Probabilities that were rounded to half precision no longer sum to one.
        validate_args = precision in ("float32", "float64")
        distribution = build(spec, parameters, validate_args=validate_args)
        torch.manual_seed(0)
        usual = distribution.noise((16,))
        low, high = NOISE_RANGE[spec.noise.distribution]
        choice = torch.randint(4, usual.shape, device=usual.device)
        noise = torch.where(choice == 0, low, torch.where(choice == 1, high, usual))
        noise[0], noise[1] = low, high
        return parameters, distribution, noise.to(usual.dtype)

    return extreme


def weighted(tensor: torch.Tensor) -> torch.Tensor:
    """A sum that no symmetry makes constant (the sum of a softmax is always 1)."""
    weights = torch.linspace(-1, 1, tensor.numel(), dtype=tensor.dtype, device=tensor.device)
    return (tensor.masked_fill(tensor == -torch.inf, 0) * weights.reshape(tensor.shape)).sum()


def assert_gradients_are_numbers(of: str, output: torch.Tensor, inputs: dict) -> None:
    if not output.requires_grad:  # the noise of a location-scale family scores without location
        return
    found = torch.autograd.grad(
        weighted(output), tuple(inputs.values()), retain_graph=True, allow_unused=True
    )
    for name, gradient in zip(inputs, found, strict=True):
        if gradient is not None and gradient.isnan().any():
            place = tuple(gradient.isnan().nonzero()[0].tolist())
            pytest.fail(f"the gradient of {of} with respect to {name} is NaN at {place}")


@pytest.mark.parametrize("precision", PRECISIONS)
@each_spec
def test_values_are_in_the_support_and_log_densities_finite(
    spec: Spec, precision: str, extreme
) -> None:
    for names in spec.parameterisations():
        _, distribution, noise = extreme(spec, names, precision)
        value = distribution.relax(noise)
        assert not value.isnan().any()
        assert distribution.support.check(value).all()
        assert distribution.log_prob(value).isfinite().all()
        assert distribution.log_prob_from_noise(noise).isfinite().all()


@pytest.mark.parametrize("precision", PRECISIONS)
@each_spec
def test_gradients_of_values_are_numbers(spec: Spec, precision: str, extreme) -> None:
    for names in spec.parameterisations():
        parameters, distribution, noise = extreme(spec, names, precision)
        inputs = {**parameters, "noise": noise.requires_grad_()}
        assert_gradients_are_numbers("relax(noise)", distribution.relax(noise), inputs)


@pytest.mark.parametrize("precision", PRECISIONS)
@each_spec
def test_gradients_of_log_densities_are_numbers(spec: Spec, precision: str, extreme) -> None:
    for names in spec.parameterisations():
        parameters, distribution, noise = extreme(spec, names, precision)
        value = distribution.relax(noise).detach().requires_grad_()
        inputs = {**parameters, "value": value}
        assert_gradients_are_numbers("log_prob(value)", distribution.log_prob(value), inputs)
        inputs = {**parameters, "noise": noise.requires_grad_()}
        log_prob = distribution.log_prob_from_noise(noise)
        assert_gradients_are_numbers("log_prob_from_noise(noise)", log_prob, inputs)


@pytest.mark.parametrize("precision", PRECISIONS)
@each_spec
def test_gradients_through_the_density_of_a_sample_are_numbers(
    spec: Spec, precision: str, extreme
) -> None:
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")
    for names in spec.parameterisations():
        parameters, distribution, noise = extreme(spec, names, precision)
        for value in (distribution.relax(noise), distribution.rsample((16,))):
            log_prob = distribution.log_prob(value)
            assert log_prob.isfinite().all()
            assert_gradients_are_numbers("log_prob(rsample())", log_prob, parameters)
        value, log_prob = distribution.rsample_and_log_prob((16,))
        for output in (value, log_prob):
            assert_gradients_are_numbers("rsample_and_log_prob()", output, parameters)
        total = weighted(value).reshape(1) + weighted(log_prob)
        assert_gradients_are_numbers("the sum of rsample_and_log_prob()", total, parameters)


@pytest.mark.parametrize("number", [0.01, 10.0])
@each_spec
def test_gradients_are_numbers_where_a_parameter_is_a_python_number(
    spec: Spec, number: float, extreme, build
) -> None:
    for names in spec.parameterisations():
        for name in names if len(names) > 1 else ():
            domain = spec.parameters[name].domain
            if spec.parameters[name].shape or not domain.contains(number):
                continue
            parameters, _, noise = extreme(spec, names, "float32")
            del parameters[name]
            distribution = build(spec, {**parameters, name: number})
            value = distribution.relax(noise)
            assert_gradients_are_numbers("relax(noise)", value, parameters)
            log_prob = distribution.log_prob(value)
            assert log_prob.isfinite().all()
            assert_gradients_are_numbers("log_prob(relax(noise))", log_prob, parameters)
            log_prob = distribution.log_prob_from_noise(noise)
            assert_gradients_are_numbers("log_prob_from_noise(noise)", log_prob, parameters)


@pytest.mark.parametrize("precision", PRECISIONS)
@specs_where(
    lambda spec: (
        spec.density.kind == "continuous"
        and isinstance(each(spec.relax.support), Interval | Simplex)
    )
)
def test_a_saturated_value_scores_as_the_nearest_number_inside(
    of: Spec, precision: str, build, mild_parameters
) -> None:
    distribution = build(of, mild_parameters(of, (50,)), precision, validate_args=False)
    soft = distribution.sample((20,))
    corner = nearest_corner(each(of.relax.support), soft)
    limits = torch.finfo(corner.dtype)
    # 1 is inside the simplex's sum of 1, and at the edge of an interval.
    one = 1 if isinstance(each(of.relax.support), Simplex) else 1 - limits.eps / 2
    # What a row of an array must not have is 0 in all of its values.
    inside = torch.where((corner == 0) & (soft > 0), limits.tiny * limits.eps, corner * one)
    assert ((inside > 0) == (soft > 0)).all()
    assert distribution.support.check(corner).all()
    assert distribution.log_prob(corner).isfinite().all()
    assert torch.equal(distribution.log_prob(corner), distribution.log_prob(inside))


@pytest.mark.parametrize("scalars", ["tensors", "numbers"])
@pytest.mark.parametrize("precision", PRECISIONS)
@specs_where(
    lambda spec: any(
        accepted and np.any(np.isneginf(event))
        for parameter in spec.parameters.values()
        for event, accepted in accepted_and_refused(parameter.domain)
    )
)
def test_an_impossible_category_is_never_chosen_and_makes_no_nan(
    of: Spec, precision: str, scalars: str, build, leaves, mild_parameters
) -> None:
    for names in of.parameterisations():
        for name in names:
            for event, accepted in accepted_and_refused(of.parameters[name].domain):
                arrays = mild_parameters(of, (20,), names=names)
                if not accepted or not of.parameters[name].shape:
                    continue
                arrays[name][:10] = event
                reference = of.reference_class(**arrays, **of.arguments)
                numbers = {}
                if scalars == "numbers":
                    plain = [name for name in names if not of.parameters[name].shape]
                    numbers = {key: float(arrays.pop(key)[0]) for key in plain}
                parameters = leaves(arrays, precision)
                distribution = build(of, {**parameters, **numbers}, validate_args=False)
                check_impossible(distribution, parameters, reference, f"{name} = {event}")


def check_impossible(distribution, parameters: dict, reference, where: str) -> None:
    torch.manual_seed(0)
    noise = distribution.noise((20,)).requires_grad_()
    value = distribution.relax(noise)
    never = torch.as_tensor(reference.pi == 0, device=value.device)
    # Noise and values may have rows, between the batch and the categories.
    of_noise, impossible = (
        never.reshape(*never.shape[:-1], *(1,) * rows, -1).expand(tensor.shape)
        for tensor, rows in (
            (noise, len(reference.noise_shape) - 1),
            (value, len(reference.event_shape) - 1),
        )
    )
    assert impossible.any()
    # Exactly 0, or minus infinity where the reference has logarithms.
    nothing = torch.as_tensor(reference.relaxed(noise.detach().double().cpu().numpy())).to(value)
    assert torch.equal(value[impossible], nothing[impossible]), f"{where} is chosen"
    assert not distribution.harden(value)[impossible].any(), f"{where} is chosen"
    without = distribution.relax(torch.where(of_noise, 0, noise))
    assert torch.equal(without, value), f"{where}: the noise of the impossible has an effect"
    outputs = {
        "log_prob(relax(noise))": distribution.log_prob(value),
        "log_prob(value)": distribution.log_prob(value.detach()),
        "log_prob_from_noise(noise)": distribution.log_prob_from_noise(noise),
    }
    for of, output in outputs.items():
        assert output.isfinite().all(), f"{of} is not finite at {where}"
    for of, output in {"relax(noise)": value, **outputs}.items():
        inputs = {**parameters, "noise": noise}
        assert_gradients_are_numbers(f"{of} at {where}", output, inputs)


def test_a_category_with_the_smallest_number_is_possible() -> None:
    """`finfo.min` is a usual mask. Such a category is possible, with a very small density."""
    least = torch.finfo(torch.float32).min
    for distribution, value in (
        (relaxit_torch.GumbelSoftmax, torch.tensor([0.5, 0.3, 0.2])),
        (relaxit_torch.ExpGumbelSoftmax, torch.tensor([0.5, 0.3, 0.2]).log()),
    ):
        masked = distribution(0.5, logits=torch.tensor([0.0, 0.0, least]))
        assert masked.log_prob(value) < 0.9 * least


@pytest.mark.parametrize("precision", PRECISIONS)
@specs_where(lambda spec: "logits" in spec.parameters and spec.parameters["logits"].shape == ("K",))
def test_a_value_that_an_impossible_category_would_need_has_probability_zero(
    of: Spec, precision: str, build, leaves, mild_parameters
) -> None:
    arrays = mild_parameters(of, (20,))
    possible = build(of, arrays, precision).sample((5,))
    arrays["logits"][:, 1] = -np.inf
    parameters = leaves(arrays, precision)
    log_prob = build(of, parameters, validate_args=False).log_prob(possible)
    expected = (possible[..., 1] != 0).reshape(*log_prob.shape, -1).any(-1)
    assert torch.equal(log_prob == -torch.inf, expected)
    assert_gradients_are_numbers("log_prob(value)", log_prob, parameters)


@specs_where(lambda spec: ("probs", "logits") in spec.exclusive)
def test_small_probabilities_are_not_clamped(of: Spec, build, mild_parameters) -> None:
    names = next(names for names in of.parameterisations() if "probs" in names)
    tiny = 1e-30
    parameters = mild_parameters(of, names=names)
    categorical = isinstance(of.parameters["probs"].domain, Simplex)
    full = np.full(parameters["probs"].shape, tiny)
    parameters["probs"] = np.asarray([tiny, 0.5, 0.5]) if categorical else full
    distribution = build(of, parameters, "float32")
    logits = distribution.logits
    found = logits[0] - logits[1] + math.log(0.5) if categorical else logits
    # The logarithm is exact to an ulp of 69. In float32 1e-30 itself is rounded by half an ulp.
    assert bool(((found - math.log(tiny)).abs() < 1e-5).all())
    if not set(names) <= {"temperature", "probs"}:
        return  # a mixed distribution: the discrete probability belongs to the stretched variable
    values = torch.tensor([1.0, 0.0, 0.0] if logits.dim() else 1.0, device=logits.device)
    if of.event_dim > 1:  # all arrays of which it is the first row
        arrays = torch.as_tensor(Arrangement().states(distribution.event_shape)).to(values)
        values = arrays[(arrays[:, 0] == values).all(-1)]
    least = distribution.discrete.log_prob(values).reshape(-1).logsumexp(0)
    assert abs(least.item() - math.log(tiny)) < 1e-5


@pytest.mark.parametrize("precision", PRECISIONS)
@specs_where(lambda spec: any("K" in parameter.shape for parameter in spec.parameters.values()))
def test_samples_of_100_000_categories_are_in_the_support(
    of: Spec, precision: str, build, mild_parameters
) -> None:
    # Only by vectors: a matrix of this size does not fit into memory.
    names = next(
        names
        for names in reversed(of.parameterisations())
        if not any(isinstance(of.parameters[name].domain, Matrix) for name in names)
    )
    parameters = mild_parameters(of, (3,), names=names, categories=100_000)
    if "temperature" in names:
        parameters["temperature"] = np.array([0.05, 1.0, 10.0])
    distribution = build(of, parameters, precision, validate_args=False)
    torch.manual_seed(0)
    noise = distribution.noise((4,))
    value, log_prob = distribution.relax(noise), distribution.log_prob_from_noise(noise)
    assert distribution.support.check(value).all()
    if precision in ("float32", "float64"):  # its log density is beyond the range of float16
        assert log_prob.isfinite().all()
        assert distribution.log_prob(value).isfinite().all()
