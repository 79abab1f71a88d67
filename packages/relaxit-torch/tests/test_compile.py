"""`torch.compile` and `torch.func` see through a distribution, its construction included."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.distributions import Bernoulli, Independent
from torch.func import grad, jacrev, vmap

import relaxit_torch
from parametrisation import each_spec
from relaxit_reference import Spec
from relaxit_torch import estimators
from relaxit_torch.numerics import noise

# Dynamo looks at the `.grad` of the tensors that a distribution holds and hides the warning about
# that by replacing `warnings.showwarning`, which a filter that makes errors never reaches
# (`safe_has_grad` in torch/_dynamo/variables/builder.py).
HELD_TENSORS = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)

# Compiled and mapped operations are the same ones on other memory layouts, whose kernels of exp
# and log differ in the last place; scores up to some 30 in float64 make that 500 of them.
ROUNDING: dict[str, Any] = {"rtol": 1e-13, "atol": 1e-13}


def outputs(distribution, noise: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        distribution.relax(noise),
        distribution.log_prob(value),
        distribution.log_prob_from_noise(noise),
    )


def program(spec: Spec, names: tuple[str, ...], **numbers: float) -> Callable:
    """The outputs as a function of parameters, noise and value, that makes the distribution."""
    distribution = getattr(relaxit_torch, spec.classes.torch)

    def evaluate(*tensors: Tensor) -> tuple[Tensor, ...]:
        *given, noise, value = tensors
        arguments = {**dict(zip(names, given, strict=True)), **numbers, **spec.arguments}
        return outputs(distribution(**arguments, validate_args=False), noise, value)

    return evaluate


def weighted(found: tuple[Tensor, ...]) -> Tensor:
    """A number whose gradient tells every entry of the outputs from the others."""
    parts = (
        (part * torch.linspace(1, 2, part.numel(), device=part.device).view(part.shape)).sum()
        for part in found
    )
    return sum(parts, torch.zeros(()))


@pytest.fixture
def tensors(build, mild_parameters):
    """`tensors(spec, names, batch_shape, sample_shape)`: parameters, noise and value."""

    def tensors(spec: Spec, names: tuple[str, ...], batch_shape=(), sample_shape=()):
        torch.manual_seed(0)
        distribution = build(spec, mild_parameters(spec, batch_shape, names=names))
        given = [getattr(distribution, name) for name in names]
        return *given, distribution.noise(sample_shape), distribution.sample(sample_shape)

    return tensors


@pytest.fixture
def compiles():
    """`compiles(function, leaves, *arguments)`: outputs and gradients are those of eager mode."""

    def compiles(function: Callable, leaves: list[Tensor], *arguments, rounding=ROUNDING) -> None:
        compiled = torch.compile(function, fullgraph=True, backend="aot_eager")
        found, expected = compiled(*arguments), function(*arguments)
        torch.testing.assert_close(found, expected, **rounding)
        torch.testing.assert_close(
            torch.autograd.grad(weighted(found), leaves, allow_unused=True),
            torch.autograd.grad(weighted(expected), leaves, allow_unused=True),
            **rounding,
        )

    # torch.compile turns the validation of all distributions off, for the rest of the process:
    # https://github.com/pytorch/pytorch/pull/185438
    default = torch.distributions.Distribution._validate_args
    torch._dynamo.reset()
    yield compiles
    torch._dynamo.reset()
    torch.distributions.Distribution.set_default_validate_args(default)


@each_spec
def test_compiles_with_the_construction_inside(spec: Spec, tensors, compiles) -> None:
    names = spec.parameterisations()[-1]
    *given, noise, value = tensors(spec, names, (2,), (3,))
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    compiles(program(spec, names), leaves, *leaves, noise, value)


@each_spec
def test_compiles_where_only_the_first_parameter_is_learned(spec: Spec, tensors, compiles) -> None:
    for names in spec.parameterisations():
        *given, noise, value = tensors(spec, names, (2,), (3,))
        learned = next(i for i, name in enumerate(names) if name not in ("temperature", "delta"))
        given[learned] = given[learned].detach().requires_grad_()
        compiles(program(spec, names), [given[learned]], *given, noise, value)


@each_spec
def test_compiles_in_half_precision_with_a_number(spec: Spec, tensors, compiles) -> None:
    names = spec.parameterisations()[0]
    plain = [name for name in names if not spec.parameters[name].shape and len(names) > 1]
    *given, noise, value = (tensor.bfloat16() for tensor in tensors(spec, names, (2,), (3,)))
    kept = {n: t for n, t in zip(names, given, strict=True) if n not in plain[:1]}
    leaves = [tensor.detach().requires_grad_() for tensor in kept.values()]
    function = program(spec, tuple(kept), **dict.fromkeys(plain[:1], 0.5))
    # The arithmetic is the same, in float32, and rounded once.
    rounding = {"rtol": 2**-7, "atol": 2**-7}
    compiles(function, leaves, *leaves, noise, value, rounding=rounding)


@HELD_TENSORS
@each_spec
def test_compiles_around_a_distribution(spec: Spec, build, tensors, compiles) -> None:
    names = spec.parameterisations()[-1]
    *given, noise, value = tensors(spec, names, (2,), (3,))
    leaves = [tensor.detach().requires_grad_() for tensor in given]
    distribution = build(spec, dict(zip(names, leaves, strict=True)), validate_args=False)
    compiles(outputs, leaves, distribution, noise, value)


@each_spec
def test_vmap_over_all_tensors_is_the_batch(spec: Spec, tensors) -> None:
    for names in spec.parameterisations():
        batch = tensors(spec, names, (5,))
        function = program(spec, names)
        torch.testing.assert_close(vmap(function)(*batch), function(*batch), **ROUNDING)


@each_spec
def test_vmap_over_noise_and_values_is_the_sample_shape(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (2,)), validate_args=False)
    noise, value = distribution.noise((5,)), distribution.sample((5,))
    torch.testing.assert_close(
        vmap(lambda noise, value: outputs(distribution, noise, value))(noise, value),
        outputs(distribution, noise, value),
        **ROUNDING,
    )


@each_spec
def test_vmap_of_grad_is_the_gradient_of_every_element(spec: Spec, tensors) -> None:
    for names in spec.parameterisations():
        batch = [tensor.detach().requires_grad_() for tensor in tensors(spec, names, (5,))]
        function = program(spec, names)

        def loss(*element: Tensor, function=function) -> Tensor:
            return weighted(function(*element))

        found = vmap(grad(loss, argnums=tuple(range(len(batch)))))(*batch)
        for i in range(5):
            element = [tensor[i] for tensor in batch]
            expected = torch.autograd.grad(loss(*element), element, materialize_grads=True)
            torch.testing.assert_close([part[i] for part in found], list(expected), **ROUNDING)


@each_spec
def test_jacrev_is_the_jacobian_of_autograd(spec: Spec, tensors) -> None:
    for names in spec.parameterisations():
        element, function = tensors(spec, names), program(spec, names)
        found = jacrev(function, argnums=tuple(range(len(element))))(*element)
        expected = torch.autograd.functional.jacobian(function, element)
        torch.testing.assert_close(found, expected, **ROUNDING)


# Estimators, which draw their noise themselves.


ESTIMATORS: dict[str, Callable[..., Tensor]] = {
    **{name: value for name, value in vars(estimators).items() if inspect.isfunction(value)},
    "gumbel_rao at a tensor": partial(estimators.gumbel_rao, temperature=torch.tensor(0.5)),
    "score_function, leave-one-out": partial(
        estimators.score_function, samples=3, baseline="leave_one_out"
    ),
}
TAKING_A_GRADIENT = ("rebar", "relax")


@pytest.fixture
def same_bits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager mode draws its random integers as compiled code does: one by one, not two in a word."""

    monkeypatch.setattr(noise.RandomIntegers, "apply", noise.RandomIntegers.plain)


def estimate(estimator: Callable[..., Tensor], coupled_bits: bool, logits: Tensor) -> Tensor:
    # torch's OneHotCategorical asks for values as it is made, whatever its validate_args.
    relaxed = relaxit_torch.GumbelSoftmax(1.0, logits=logits, validate_args=False)
    bits = Independent(Bernoulli(logits=logits, validate_args=False), 1, validate_args=False)
    chosen = bits if coupled_bits else relaxed.discrete

    def f(value: Tensor) -> Tensor:
        weights = torch.arange(1, 4, dtype=value.dtype, device=value.device)
        return ((value * weights).sum(-1) + 0.3) ** 3

    return estimator(chosen, f)


@pytest.mark.parametrize("coupled_bits", [False, True], ids=["categories", "bits"])
@pytest.mark.parametrize("name", ESTIMATORS)
def test_compiles_an_estimator(name: str, coupled_bits: bool, same_bits, compiles) -> None:
    if not coupled_bits and name in ("arm", "disarm"):
        pytest.skip(f"{name} is for bits")
    if name in TAKING_A_GRADIENT:
        pytest.skip(f"{name} takes a gradient on the way, at which Dynamo breaks the graph")
    compare_compiled(ESTIMATORS[name], coupled_bits, fullgraph=True)


@HELD_TENSORS
@pytest.mark.parametrize("coupled_bits", [False, True], ids=["categories", "bits"])
@pytest.mark.parametrize("name", TAKING_A_GRADIENT)
def test_compiles_an_estimator_around_its_own_gradient(
    name: str, coupled_bits: bool, same_bits, compiles
) -> None:
    compare_compiled(ESTIMATORS[name], coupled_bits, fullgraph=False)


def compare_compiled(
    estimator: Callable[..., Tensor], coupled_bits: bool, *, fullgraph: bool
) -> None:
    def function(logits: Tensor) -> tuple[Tensor]:
        return (estimate(estimator, coupled_bits, logits),)

    logits = torch.randn(2, 3, dtype=torch.float64).requires_grad_()
    found = []
    for each in (torch.compile(function, fullgraph=fullgraph, backend="aot_eager"), function):
        torch.manual_seed(0)
        output = each(logits)
        found.append((*output, *torch.autograd.grad(weighted(output), logits)))
    torch.testing.assert_close(*found, **ROUNDING)
