"""All modules work in every mode of torch: tracing, export, `torch.func`, autocast and others."""

from __future__ import annotations

import inspect
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import relaxit_torch
from relaxit_torch.numerics import noise

FEATURES = 6
CORRELATION = 0.6 * torch.eye(FEATURES) + 0.4

MODULES: dict[str, Callable[[], nn.Module]] = {
    "CorrelatedGates": lambda: relaxit_torch.nn.CorrelatedGates(FEATURES, CORRELATION),
    "GumbelSoftmaxLayer": lambda: relaxit_torch.nn.GumbelSoftmaxLayer(0.7),
    "GumbelSoftmaxLayer, hard": lambda: relaxit_torch.nn.GumbelSoftmaxLayer(0.7, hard=True),
    "HardConcreteGates": lambda: relaxit_torch.nn.HardConcreteGates(FEATURES),
    "StochasticGates": lambda: relaxit_torch.nn.StochasticGates(FEATURES),
}
"""Every module that users can call. Each maps `(*batch, FEATURES)` to the same shape."""

ABSTRACT = {"Gates"}

each_module = pytest.mark.parametrize("make", MODULES.values(), ids=MODULES)
each_size = pytest.mark.parametrize("examples", [4, 700], ids=lambda n: f"{n} examples")
training_and_evaluation = pytest.mark.parametrize(
    "training", [True, False], ids=["training", "evaluation"]
)


@pytest.fixture(autouse=True)
def same_integers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Eager code draws its random integers as all other modes do: one by one, not in words."""
    monkeypatch.setattr(noise.RandomIntegers, "apply", noise.RandomIntegers.plain)


def example(*batch: int) -> Tensor:
    return torch.randn(*batch, FEATURES, generator=torch.Generator().manual_seed(1))


def seeded(function: Callable[..., Tensor], *arguments: Tensor) -> Tensor:
    torch.manual_seed(2)
    return function(*arguments)


def output_and_gradients(
    function: Callable[[Tensor], Tensor], data: Tensor, module: nn.Module
) -> list[Tensor]:
    """The output, and its gradients for the input and all parameters."""
    inputs = [data.clone().requires_grad_(), *module.parameters()]
    for tensor in inputs:
        tensor.grad = None
    output = seeded(function, inputs[0])
    if output.requires_grad:
        weights = torch.linspace(1, 2, output.numel()).view(output.shape)
        (weights * output).sum().backward()
    gradients = [torch.zeros_like(x) if x.grad is None else x.grad for x in inputs]
    return [output.detach(), *gradients]


def test_no_module_is_forgotten() -> None:
    public = {
        name
        for name, value in vars(relaxit_torch.nn).items()
        if inspect.isclass(value) and issubclass(value, nn.Module)
    }
    assert public - ABSTRACT == {name.partition(",")[0] for name in MODULES}


@each_module
@each_size
@training_and_evaluation
@pytest.mark.filterwarnings("ignore:.torch.jit.trace")  # deprecated, but Pyro uses it
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # comparisons of shapes
def test_jit_trace(make, examples: int, training: bool) -> None:
    module, data = make().train(training), example(examples)
    traced = torch.jit.trace(module, data, check_trace=False)  # it compares without a seed
    torch.testing.assert_close(
        output_and_gradients(traced, data, module), output_and_gradients(module, data, module)
    )


@each_module
@training_and_evaluation
def test_vmap(make, training: bool) -> None:
    module, data = make().train(training), example(3, 5)
    mapped = torch.func.vmap(module, randomness="different")
    found = seeded(mapped, data)
    assert found.shape == data.shape
    assert found.isfinite().all()
    if training:
        same = data[:1].expand_as(data)
        drawn = seeded(mapped, same)
        assert (drawn[0] != drawn[1]).any(), "each example has its own sample"
    else:
        torch.testing.assert_close(found, module(data))


@each_module
@training_and_evaluation
def test_gradients_for_each_example(make, training: bool) -> None:
    module, data = make().train(training), example(5)
    parameters = {name: parameter.detach() for name, parameter in module.named_parameters()}

    def loss(parameters: dict[str, Tensor], row: Tensor) -> Tensor:
        return torch.func.functional_call(module, parameters, (row,)).square().sum()

    gradients = torch.func.vmap(
        torch.func.grad(loss, argnums=(0, 1)), in_dims=(None, 0), randomness="different"
    )
    by_parameter, by_data = gradients(parameters, data)
    for found in (by_data, *by_parameter.values()):
        assert found.shape == data.shape
        assert found.isfinite().all()
    if not training:
        leaf = data.clone().requires_grad_()
        value = loss(parameters, leaf)
        expected = torch.zeros_like(leaf)
        if value.requires_grad:
            (expected,) = torch.autograd.grad(value, leaf)
        torch.testing.assert_close(by_data, expected)


@each_module
@pytest.mark.parametrize("reentrant", [True, False])
def test_checkpoint_in_training(make, reentrant: bool) -> None:
    module, data = make(), example(4)

    def checkpointed(leaf: Tensor) -> Tensor:
        return checkpoint(module, leaf, use_reentrant=reentrant)

    torch.testing.assert_close(
        output_and_gradients(checkpointed, data, module),
        output_and_gradients(module, data, module),
        rtol=0,
        atol=0,
    )


@each_module
@pytest.mark.parametrize("batch", [(0,), (3, 0)], ids=str)
@training_and_evaluation
def test_empty_batches(make, batch: tuple[int, ...], training: bool) -> None:
    module = make().train(training)
    output, *gradients = output_and_gradients(module, example(*batch), module)
    assert output.shape == (*batch, FEATURES)
    for gradient in gradients[1:]:
        assert torch.equal(gradient, torch.zeros(FEATURES))


@each_module
@each_size
@training_and_evaluation
def test_inference_mode(make, examples: int, training: bool) -> None:
    module, data = make().train(training), example(examples)
    expected = seeded(module, data).detach()
    with torch.inference_mode():
        assert torch.equal(seeded(module, data), expected)


@each_module
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
@training_and_evaluation
def test_autocast_lowers_nothing(make, dtype: torch.dtype, training: bool) -> None:
    module, data = make().train(training), example(4)
    expected = output_and_gradients(module, data, module)
    with torch.autocast("cpu", dtype):
        found = output_and_gradients(module, data, module)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)


@each_module
@each_size
def test_export_in_evaluation(make, examples: int) -> None:
    module, data = make().eval(), example(examples)
    exported = torch.export.export(module, (data,)).module()
    torch.testing.assert_close(exported(data), module(data))


@each_module
def test_export_in_evaluation_for_any_batch_size(make) -> None:
    module, data = make().eval(), example(4)
    batch = torch.export.Dim("batch")
    exported = torch.export.export(module, (data,), dynamic_shapes=({0: batch},)).module()
    torch.testing.assert_close(exported(example(9)), module(example(9)))
