"""`torch.compile` and `torch.func` see through a distribution, its construction included."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor
from torch.func import grad, jacrev, vmap

from relaxit_reference import Spec

# Dynamo looks at the `.grad` of the tensors that a distribution holds and hides the warning about
# that by replacing `warnings.showwarning`, which a filter that makes errors never reaches
# (`safe_has_grad` in torch/_dynamo/variables/builder.py).
HELD_TENSORS = pytest.mark.filterwarnings(
    "ignore:The .grad attribute of a Tensor that is not a leaf:UserWarning"
)

# Compiled and mapped operations are the same ones on other memory layouts, whose kernels of exp
# and log differ in the last place; scores up to some 30 in float64 make that 500 of them.
TOLERANCE = {"rtol": 1e-13, "atol": 1e-13}


@pytest.fixture(autouse=True)
def fresh_compiler():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def outputs(distribution, noise: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    return (
        distribution.relax(noise),
        distribution.log_prob(value),
        distribution.log_prob_from_noise(noise),
    )


def scalar(found: tuple[Tensor, ...]) -> Tensor:
    """A number with a gradient that tells every entry of the outputs from the others."""
    return sum((part * torch.linspace(1, 2, part.numel()).view(part.shape)).sum() for part in found)


def inputs(spec: Spec, names: tuple[str, ...], build, mild_parameters):
    distribution = build(spec, mild_parameters(spec, (2,), names=names))
    torch.manual_seed(0)
    return distribution.noise((3,)), distribution.sample((3,))
