"""Everything is made on the device of the parameters, and nothing waits for that device.

Fake CUDA tensors need no GPU: they have a device and a shape, and no values. What moves between
devices or asks for a value is then seen by every machine, before a GPU is slowed down by it.
"""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch._subclasses import FakeTensorMode
from torch.distributions import Bernoulli, Independent
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import relaxit_torch
from parametrisation import each_spec
from relaxit_reference import Spec
from relaxit_torch import estimators

SYNCHRONISING = {
    "aten::_local_scalar_dense": "asks for a value: item(), float(), bool(), an `if` on a tensor",
    "aten::equal": "asks whether tensors are equal",
    "aten::is_nonzero": "asks for a value",
    "aten::nonzero": "asks how many entries are not zero",
    "aten::masked_select": "asks how many entries are selected",
    "aten::unique_dim": "asks how many entries are distinct",
    "aten::_unique2": "asks how many entries are distinct",
    "aten::repeat_interleave": "asks for the length of the result",
    "aten::_linalg_check_errors": "asks whether a factorisation failed: use cholesky_ex",
    "aten::_assert_async": "stops the device where a value is wrong",
}

MASKING = {"aten::index", "aten::index_put", "aten::index_put_"}


class DisciplineError(AssertionError):
    """What `DeviceDiscipline` raises."""


class DeviceDiscipline(TorchDispatchMode):
    """Refuses every operation that takes or makes a tensor on another device, or synchronises.

    Tensors of no dimension count too: torch lets them mix with any device, at the price of a copy.
    """

    def __init__(self, device: str) -> None:
        super().__init__()
        self.device = device
        self.operations = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        if func.namespace != "aten":  # questions about a tensor's device, not operations on it
            return func(*args, **kwargs)
        self.operations += 1
        name = func._schema.name
        if name in SYNCHRONISING:
            raise DisciplineError(f"{name} {SYNCHRONISING[name]}")
        if name in MASKING and any(x is not None and x.dtype == torch.bool for x in args[1]):
            raise DisciplineError(f"{name} with a mask asks how many entries are chosen")
        self.check(f"{name} takes", (args, kwargs))
        result = func(*args, **kwargs)
        self.check(f"{name} makes", result)
        return result

    def check(self, what: str, values: Any) -> None:
        for value in tree_leaves(values):
            if isinstance(value, Tensor) and value.device.type != self.device:
                shape = tuple(value.shape)
                raise DisciplineError(f"{what} a tensor of shape {shape} on {value.device}")


def on(device: str, arrays: dict[str, np.ndarray], **options: Any) -> dict[str, Tensor]:
    return {
        name: torch.empty(value.shape, device=device, **options) for name, value in arrays.items()
    }


@pytest.fixture
def fake_cuda():
    with FakeTensorMode(allow_non_fake_inputs=False):
        yield


def with_numbers_or_tensors(spec: Spec, mild_parameters):
    """Yields tensors to make and numbers to give, for every way to give the parameters."""
    for names in spec.parameterisations():
        arrays = mild_parameters(spec, (2, 3), names=names)
        yield arrays, {}
        plain = [name for name in names if not spec.parameters[name].shape]
        for name in plain if len(names) > 1 else ():
            yield (
                {key: value for key, value in arrays.items() if key != name},
                {name: float(arrays[name].flat[0])},
            )


def results(spec: Spec, distribution) -> dict[str, Tensor]:
    """The results of all methods and properties of a distribution, by name."""
    noise = distribution.noise((4,))
    value = distribution.relax(noise)
    found = {
        "noise": noise,
        "relax": value,
        "sample": distribution.sample((4,)),
        "log_prob": distribution.log_prob(value),
        "log_prob_from_noise": distribution.log_prob_from_noise(noise),
        "log_prob of expand": distribution.expand((5, 2, 3)).log_prob(value[:1]),
        "log_prob of to_event": distribution.to_event(1).log_prob(value),
    }
    if distribution.has_rsample:
        found["rsample"] = distribution.rsample((4,))
        sample, score = distribution.rsample_and_log_prob((4,))
        found["the value of rsample_and_log_prob"] = sample
        found["the score of rsample_and_log_prob"] = score
    if spec.harden:
        hard = distribution.harden(value)
        found["harden"] = hard
        found["discrete.log_prob"] = distribution.discrete.log_prob(hard)
    if "kl" in spec.closed_forms and not spec.kl_needs_equal:
        found["kl"] = torch.distributions.kl_divergence(distribution, distribution)
    for form in set(spec.closed_forms) - {"kl"}:
        attribute = getattr(distribution, form)
        if form == "entropy":
            attribute = attribute()
        elif callable(attribute):
            attribute = attribute(value)
        found[form] = attribute
    return found


@pytest.mark.parametrize("dtype_", [torch.float16, torch.float32, torch.float64], ids=str)
@each_spec
def test_all_of_the_interface_stays_on_a_gpu_and_never_waits_for_it(
    spec: Spec, dtype_, build, mild_parameters, fake_cuda
) -> None:
    for arrays, numbers in with_numbers_or_tensors(spec, mild_parameters):
        parameters = on("cuda", arrays, dtype=dtype_)
        with DeviceDiscipline("cuda") as discipline:
            distribution = build(spec, {**parameters, **numbers}, validate_args=False)
            found = results(spec, distribution)
        assert discipline.operations > 20, "the discipline saw nothing"
        assert distribution.device.type == "cuda"
        for name, result in found.items():
            assert result.device.type == "cuda", f"{name} is on {result.device}"
            assert result.dtype == dtype_, f"{name} is of {result.dtype}"


@each_spec
def test_tensors_stay_where_they_are_whatever_the_default_device(
    spec: Spec, build, mild_parameters, fake_cuda
) -> None:
    parameters = on("cuda", mild_parameters(spec, (2, 3)))
    with torch.device("cpu"):
        distribution = build(spec, parameters, validate_args=False)
        found = results(spec, distribution)
    for name, result in found.items():
        assert result.device.type == "cuda", f"{name} is on {result.device}"


@each_spec
def test_the_discrete_distribution_samples_on_the_gpu(
    spec: Spec, build, mild_parameters, fake_cuda
) -> None:
    if spec.harden is None:
        pytest.skip(f"{spec.name}.toml has no [harden]")
    parameters = on("cuda", mild_parameters(spec, (2, 3)))
    with DeviceDiscipline("cuda"):
        distribution = build(spec, parameters, validate_args=False)
        assert distribution.discrete.sample((4,)).device.type == "cuda"


@each_spec
def test_the_backward_pass_stays_on_the_device(spec: Spec, build, mild_parameters) -> None:
    # Autograd has no thread for a GPU that is not there; "meta" tensors run through it.
    for arrays, numbers in with_numbers_or_tensors(spec, mild_parameters):
        parameters = on("meta", arrays, requires_grad=True)
        with DeviceDiscipline("meta") as discipline:
            distribution = build(spec, {**parameters, **numbers}, validate_args=False)
            found = results(spec, distribution)
            forward = discipline.operations
            for name, result in found.items():
                if result.requires_grad:
                    gradients = torch.autograd.grad(
                        result.sum(),
                        tuple(parameters.values()),
                        retain_graph=True,
                        allow_unused=True,
                    )
                    for gradient in gradients:
                        assert gradient is None or gradient.device.type == "meta", name
        assert discipline.operations > forward + 20, "the discipline saw no backward pass"


def modules_on(device: str) -> list[torch.nn.Module]:
    # Modules are made outside of the discipline: their options are checked on the CPU.
    layers = relaxit_torch.nn
    families = (layers.HardConcreteGates, layers.StochasticGates, layers.CorrelatedGates)
    return [*(family(5, device=device) for family in families), layers.GumbelSoftmaxLayer()]


def results_of(modules: list[torch.nn.Module], device: str) -> dict[str, Tensor]:
    """What modules and the functions of logits return, by name."""
    logits = torch.empty(2, 5, device=device, requires_grad=True)
    functional = relaxit_torch.functional
    found: dict[str, Tensor] = {}
    for temperature in (0.5, torch.empty((), device=device, requires_grad=True)):
        soft = functional.gumbel_softmax(logits, temperature)
        hard = functional.gumbel_softmax(logits, temperature, hard=True)
        khot = functional.relaxed_top_k(logits, 3, temperature)
        kind = type(temperature).__name__
        found |= {f"soft by {kind}": soft, f"hard by {kind}": hard, f"khot by {kind}": khot}
    for module in modules:
        name = type(module).__name__
        found[f"{name} in training"] = module.train()(logits)
        found[f"{name} in evaluation"] = module.eval()(logits)
        if isinstance(module, relaxit_torch.nn.Gates):
            found[f"penalty of {name}"] = module.penalty()
    return found


def test_functions_and_modules_stay_on_a_gpu_and_never_wait_for_it(fake_cuda) -> None:
    modules = modules_on("cuda")
    with DeviceDiscipline("cuda") as discipline:
        found = results_of(modules, "cuda")
    assert discipline.operations > 20, "the discipline saw nothing"
    for name, result in found.items():
        assert result.device.type == "cuda", f"{name} is on {result.device}"


def test_the_backward_pass_of_functions_and_modules_stays_on_the_device() -> None:
    modules = modules_on("meta")
    with DeviceDiscipline("meta"):
        for name, result in results_of(modules, "meta").items():
            assert result.device.type == "meta", name
            if result.requires_grad:
                result.sum().backward()


ESTIMATORS = [name for name, value in vars(estimators).items() if inspect.isfunction(value)]

WITH_TENSORS = {
    "score_function": ["baseline"],
    "gumbel_softmax": ["temperature"],
    "gumbel_softmax_straight_through": ["temperature"],
    "gumbel_rao": ["temperature"],
    "decoupled_straight_through": ["forward_temperature", "backward_temperature"],
    "reinmax": ["temperature"],
    "rebar": ["temperature", "scale"],
    "relax": ["temperature", "scale"],
}
"""The options of estimators that may be tensors."""


def estimates(name: str, device: str) -> Iterator[tuple[str, Tensor]]:
    """What an estimator returns for every kind of variable, with numbers and tensors as options."""
    for one_hot, coupled in itertools.product([False, True], repeat=2):
        if one_hot and name in ("arm", "disarm"):
            continue
        for options in ([], WITH_TENSORS.get(name, [])):
            logits = torch.empty(2, 3, device=device, requires_grad=True)
            number = torch.empty((), device=device, requires_grad=True)
            # torch's own OneHotCategorical synchronises as it is made.
            relaxed = relaxit_torch.GumbelSoftmax(1.0, logits=logits, validate_args=False)
            distribution = (
                relaxed.discrete if one_hot else Bernoulli(logits=logits, validate_args=False)
            )
            distribution = (
                Independent(distribution, 1, validate_args=False) if coupled else distribution
            )
            dimensions = one_hot + coupled

            def f(value: Tensor, dimensions: int = dimensions) -> Tensor:
                total = value.flatten(-dimensions).sum(-1) if dimensions else value
                return (total + 0.3) ** 3

            value = getattr(estimators, name)(distribution, f, **dict.fromkeys(options, number))
            yield f"{name} of {distribution}, {options}", value


@pytest.mark.parametrize("name", [name for name in ESTIMATORS if name not in ("rebar", "relax")])
def test_estimators_stay_on_a_gpu_and_never_wait_for_it(name: str, fake_cuda) -> None:
    # rebar and relax take a gradient on the way; the next test has them.
    with DeviceDiscipline("cuda") as discipline:
        found = dict(estimates(name, "cuda"))
    assert discipline.operations > 20, "the discipline saw nothing"
    for what, result in found.items():
        assert result.device.type == "cuda", f"{what} is on {result.device}"


@pytest.mark.parametrize("name", ESTIMATORS)
def test_the_backward_pass_of_estimators_stays_on_the_device(name: str) -> None:
    with DeviceDiscipline("meta") as discipline:
        for what, result in estimates(name, "meta"):
            assert result.device.type == "meta", what
            before = discipline.operations
            result.sum().backward()
            assert discipline.operations > before, "the discipline saw no backward pass"


@pytest.mark.parametrize(
    ("crime", "words"),
    [
        (lambda x: torch.tensor(0.5), r"a tensor of shape \(\) on cpu"),
        (lambda x: x * torch.tensor(0.5), r"a tensor of shape \(\) on cpu"),
        (lambda x: torch.as_tensor(0.5, device=x.device), r"a tensor of shape \(\) on cpu"),
        (lambda x: torch.zeros(3), r"a tensor of shape \(3,\) on cpu"),
        (lambda x: torch.rand(()), r"a tensor of shape \(\) on cpu"),
        (lambda x: torch.arange(3), r"a tensor of shape \(3,\) on cpu"),
        (lambda x: x.cpu(), r"a tensor of shape \(2, 2\) on cpu"),
        (lambda x: x.sum().item(), "asks for a value"),
        (lambda x: float(x[0, 0]), "asks for a value"),
        (lambda x: x if (x > 0).all() else -x, "asks for a value"),
        (lambda x: x.tolist(), "asks for a value"),
        (lambda x: x[x > 0], "with a mask asks how many entries are chosen"),
        (lambda x: x.nonzero(), "asks how many entries are not zero"),
        (lambda x: x.masked_select(x > 0), "asks how many entries are selected"),
        (lambda x: x.unique(), "asks how many entries are distinct"),
        (lambda x: torch.equal(x, x), "asks whether tensors are equal"),
        (torch.linalg.cholesky, "asks whether a factorisation failed"),
        (
            lambda x: torch.distributions.OneHotCategorical(logits=x, validate_args=False),
            "asks for a value",
        ),
    ],
)
def test_the_discipline_refuses(crime: Callable, words: str, fake_cuda) -> None:
    x = torch.empty(2, 2, device="cuda")
    with DeviceDiscipline("cuda"), pytest.raises(DisciplineError, match=words):
        crime(x)


def test_the_discipline_allows_numbers_and_new_tensors_on_the_device(fake_cuda) -> None:
    x = torch.empty(2, 2, device="cuda")
    with DeviceDiscipline("cuda") as discipline:
        torch.where(x > 0, 0.0, x * 0.5) + torch.zeros(2, device=x.device)
        torch.linalg.cholesky_ex(x)
    assert discipline.operations > 0
