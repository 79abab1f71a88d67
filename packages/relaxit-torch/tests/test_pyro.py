"""Every distribution works in Pyro: as latent variable of a model and its guide, and observed."""

from __future__ import annotations

import pyro
import pytest
import torch
from pyro.distributions import Normal
from pyro.infer import SVI, Trace_ELBO
from pyro.optim import SGD  # type: ignore[attr-defined]  # pyro makes it at run time
from torch import Tensor

from parametrisation import each_spec
from relaxit_reference import Spec

ROWS, COLUMNS = 4, 2


@pytest.fixture(autouse=True)
def clean_pyro():
    pyro.clear_param_store()
    pyro.set_rng_seed(0)
    with pyro.validation_enabled():
        yield
    pyro.clear_param_store()


def latent(distribution, declared: str) -> Tensor:
    """Samples one value for each row and column, the columns declared in one of three ways."""
    if declared == "a plate":
        with pyro.plate("columns", COLUMNS, dim=-1):
            return pyro.sample("z", distribution)
    joined = distribution.to_event(1)
    if declared == "an event with a mask":
        mask = torch.tensor([True, True, False, True], device=distribution.device)
        joined = joined.mask(mask)
    return pyro.sample("z", joined)


@pytest.mark.parametrize("declared", ["a plate", "an event", "an event with a mask"])
@pytest.mark.parametrize("particles", [1, 3])
@each_spec
def test_a_step_of_svi_moves_every_parameter(
    spec: Spec, declared: str, particles: int, build, mild_parameters, device: str
) -> None:
    if spec.discrete and not spec.relax.support.discrete:
        pytest.skip(f"the points of {spec} depend on its parameters: no prior has the same ones")
    names = spec.parameterisations()[-1]
    data = torch.linspace(-1, 1, ROWS, dtype=torch.float64, device=device)
    prior = build(spec, mild_parameters(spec, (ROWS, COLUMNS), names=names))
    start = build(spec, mild_parameters(spec, (ROWS, COLUMNS), names=names, seed=1))
    rows = pyro.plate("rows", ROWS, dim=-2 if declared == "a plate" else -1)

    def model() -> None:
        with rows:
            entries = latent(prior, declared).flatten(-1 - spec.event_dim)
            # No two entries count alike: the sum over a simplex would not depend on them.
            weights = torch.arange(entries.shape[-1], dtype=entries.dtype, device=device)
            place = (entries * weights).sum(-1, keepdim=declared == "a plate")
            observed = data.unsqueeze(-1) if declared == "a plate" else data
            pyro.sample("x", Normal(place, 1.0), obs=observed)

    def guide() -> None:
        parameters = {
            name: pyro.param(name, getattr(start, name), constraint=start.arg_constraints[name])
            for name in names
        }
        with rows:
            latent(build(spec, parameters), declared)

    elbo = Trace_ELBO(
        num_particles=particles, vectorize_particles=particles > 1, max_plate_nesting=2
    )
    loss = elbo.differentiable_loss(model, guide)
    assert loss.isfinite()
    loss.backward()
    # A hard sample uses the temperature in its backward pass only, which may have its own.
    idle = {"temperature"} if spec.discrete and "backward_temperature" in names else set()
    for name, parameter in pyro.get_param_store().named_parameters():
        if name in idle:
            continue
        assert parameter.grad is not None, f"no gradient reaches {name}"
        assert parameter.grad.isfinite().all(), f"the gradient of {name} is not finite"
        assert parameter.grad.any(), f"the gradient of {name} is zero"
        parameter.grad = None
    before = {name: pyro.param(name).detach().clone() for name in names}
    SVI(model, guide, SGD({"lr": 1e-3}), elbo).step()
    for name in names:
        after = pyro.param(name).detach()
        assert name in idle or not torch.equal(after, before[name]), f"{name} did not move"
        assert start.arg_constraints[name].check(after).all(), f"{name} left its domain"


@each_spec
def test_parameters_of_pyro_keep_every_domain(
    spec: Spec, build, mild_parameters, device: str
) -> None:
    for names in spec.parameterisations():
        distribution = build(spec, mild_parameters(spec, (3,), names=names))
        for name in names:
            value = getattr(distribution, name)
            constraint = distribution.arg_constraints[name]
            kept = pyro.param(f"{name} of {names}", value, constraint=constraint)
            # There and back through the transform of the constraint: a few roundings.
            torch.testing.assert_close(kept.detach(), value, rtol=1e-12, atol=1e-12)


@each_spec
def test_an_observed_value_is_scored(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (ROWS,)))
    value = distribution.sample((5,))

    def model() -> None:
        with pyro.plate("samples", 5, dim=-2), pyro.plate("rows", ROWS, dim=-1):
            pyro.sample("z", distribution, obs=value)

    trace = pyro.poutine.trace(model).get_trace()
    expected = distribution.log_prob(value).sum()
    torch.testing.assert_close(trace.log_prob_sum(), expected, rtol=1e-13, atol=1e-13)


@each_spec
def test_a_plate_draws_independent_values(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec))
    with pyro.plate("samples", 50):
        value = pyro.sample("z", distribution)
    assert value.shape == (50, *distribution.event_shape)
    distinct = value.reshape(50, -1).unique(dim=0).shape[0]
    assert distinct == 50 if spec.density.kind == "continuous" else distinct > 1
