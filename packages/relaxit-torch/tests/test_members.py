"""Other members of a family: the log-space form, and the distribution that treats all alike."""

from __future__ import annotations

import pytest
import torch

import relaxit_torch as rt
from parametrisation import each_spec
from relaxit_reference import Spec

DTYPES = ["float64", "float32", "bfloat16"]
LOG_SPACE = {"BinaryConcrete", "GumbelSoftmax", "LogitBinaryConcrete", "ExpGumbelSoftmax"}
WITHOUT_UNIFORM = {"GeneralizedGumbelSoftmax"}


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_the_log_space_form_has_the_same_values_from_the_same_noise(
    spec: Spec, dtype_: str, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), dtype_)
    if spec.classes.torch not in LOG_SPACE or distribution.hard:
        if not distribution.hard:
            with pytest.raises(NotImplementedError, match="has no log-space form"):
                _ = distribution.log_space
        return
    other = distribution.log_space
    assert other.dtype == distribution.dtype
    assert other.log_space is other
    noise = distribution.noise((100,))
    expected = distribution.relax(noise)
    if distribution is other:
        expected = other.from_log_space(expected)
    found = distribution.from_log_space(other.relax(noise))
    tolerance = 8 * torch.finfo(distribution.dtype).eps
    torch.testing.assert_close(found, expected, rtol=10 * tolerance, atol=tolerance)


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_the_uniform_member_has_a_uniform_discrete_distribution(
    spec: Spec, dtype_: str, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), dtype_)
    if spec.classes.torch in WITHOUT_UNIFORM:
        with pytest.raises(NotImplementedError, match="has no uniform member"):
            distribution.uniform()
        return
    uniform = distribution.uniform()
    assert type(uniform) is type(distribution)
    assert uniform.dtype == distribution.dtype
    assert uniform.batch_shape == distribution.batch_shape
    assert uniform.event_shape == distribution.event_shape
    assert uniform._switches == distribution._switches
    if isinstance(distribution, rt.LogisticNormalSoftmax):  # it relaxes nothing discrete
        assert (uniform.loc == 0).all()
        assert (uniform.scale == 1).all()
        return
    probs = uniform.discrete.probs
    expected = (
        1 / probs.shape[-1] if hasattr(uniform.discrete, "k") or _is_one_hot(uniform) else 0.5
    )
    tolerance = 16 * torch.finfo(distribution.dtype).eps
    torch.testing.assert_close(probs, torch.full_like(probs, expected), rtol=0, atol=tolerance)


def _is_one_hot(distribution: rt.RelaxedDistribution) -> bool:
    return isinstance(distribution.discrete, torch.distributions.OneHotCategorical)
