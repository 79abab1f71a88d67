"""The torch distributions behind the interface of the reference, and the device under test."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import relaxit_torch
from relaxit_reference import Spec
from relaxit_reference.testing import strategies

# The tensors are small, and the tests run in parallel processes.
torch.set_num_threads(1)


@dataclass(frozen=True)
class TorchDistribution:
    """A torch distribution that takes and returns float64 arrays, as the reference does.

    The checks of `relaxit_reference.testing` read `spec` and the shapes.
    """

    spec: Spec
    distribution: Any

    @property
    def batch_shape(self) -> tuple[int, ...]:
        return tuple(self.distribution.batch_shape)

    @property
    def event_shape(self) -> tuple[int, ...]:
        return tuple(self.distribution.event_shape)

    def tensor(self, array: Any) -> Tensor:
        return torch.as_tensor(
            np.array(array), dtype=self.distribution.dtype, device=self.distribution.device
        )

    def noise(self, size: Any, random_state: int) -> np.ndarray:
        torch.manual_seed(random_state)
        return _array(self.distribution.noise(tuple(np.atleast_1d(size))))

    def rvs(self, size: Any, random_state: int) -> np.ndarray:
        torch.manual_seed(random_state)
        return _array(self.distribution.sample(tuple(np.atleast_1d(size))))

    def relax(self, noise: Any) -> np.ndarray:
        return _array(self.distribution.relax(self.tensor(noise)))

    def harden(self, x: Any) -> np.ndarray:
        return _array(self.distribution.harden(self.tensor(x)))

    def logpdf(self, x: Any) -> np.ndarray:
        return _array(self.distribution.log_prob(self.tensor(x)))

    def logpdf_from_noise(self, noise: Any) -> np.ndarray:
        return _array(self.distribution.log_prob_from_noise(self.tensor(noise)))

    def discrete_pmf(self, x: Any) -> np.ndarray:
        return _array(self.distribution.discrete.log_prob(self.tensor(x)).exp())


def _array(tensor: Tensor) -> np.ndarray:
    return tensor.detach().to(device="cpu", dtype=torch.float64).numpy()


def make(spec: Spec, parameters: Mapping[str, Any], dtype: Any, device: str, **options: Any) -> Any:
    """The torch distribution of a specification. Arrays become tensors; other values stay."""
    if isinstance(dtype, str):
        dtype = getattr(torch, dtype)
    tensors = {
        name: torch.as_tensor(np.asarray(value), dtype=dtype, device=device)
        if isinstance(value, np.ndarray | np.generic | list)
        else value
        for name, value in parameters.items()
    }
    found = getattr(relaxit_torch, spec.classes.torch, None)
    if found is None:  # test_surface fails, and says so once
        pytest.skip(f"{spec.name}.toml: relaxit_torch has no class {spec.classes.torch!r}")
    return found(**tensors, **spec.arguments, **options)


@pytest.fixture(autouse=True)
def seeded() -> None:
    """Every test draws the same numbers each time."""
    torch.manual_seed(0)


@pytest.fixture(scope="session")
def device(request: pytest.FixtureRequest) -> str:
    return str(request.config.getoption("--device"))


@pytest.fixture(scope="session")
def build(device: str) -> Callable[..., Any]:
    """`build(spec, parameters, dtype="float64", **options)` makes the torch distribution."""

    def build(spec: Spec, parameters: Mapping[str, Any], dtype: Any = "float64", **options: Any):
        return make(spec, parameters, dtype, device, **options)

    return build


@pytest.fixture(scope="session")
def leaves(device: str) -> Callable[..., dict[str, Tensor]]:
    """`leaves(parameters, dtype="float64")` makes tensors that collect gradients."""

    def leaves(parameters: Mapping[str, Any], dtype: str = "float64") -> dict[str, Tensor]:
        return {
            name: torch.tensor(value, dtype=getattr(torch, dtype), device=device).requires_grad_()
            for name, value in parameters.items()
        }

    return leaves


@pytest.fixture(scope="session")
def build_distribution(build: Callable[..., Any]) -> Callable[..., TorchDistribution]:
    """`build_distribution(spec, parameters, dtype="float64")` makes a `TorchDistribution`."""

    def build_distribution(
        spec: Spec, parameters: Mapping[str, Any], dtype: Any = "float64"
    ) -> TorchDistribution:
        return TorchDistribution(spec, build(spec, parameters, dtype))

    return build_distribution


@pytest.fixture(scope="session")
def mild_parameters() -> Callable[..., dict[str, np.ndarray]]:
    """`mild_parameters(spec, batch_shape=(), seed=0)`: parameters at which nothing saturates."""

    def mild_parameters(
        spec: Spec, batch_shape: tuple[int, ...] = (), seed: int = 0, **options: Any
    ):
        random = np.random.default_rng(seed)
        return strategies.random_parameters(
            spec, random, batch_shape=batch_shape, ranges=spec.moderate, **options
        )

    return mild_parameters


@pytest.fixture
def fresh_compiler():
    """Compilation turns the validation of all distributions off: see test_compile.py."""
    default = torch.distributions.Distribution._validate_args
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()
    torch.distributions.Distribution.set_default_validate_args(default)
