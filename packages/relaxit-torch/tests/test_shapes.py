"""Shapes, dtypes, copies and independence: what every `torch.distributions` object promises."""

from __future__ import annotations

import copy
import io
import itertools
import pickle

import numpy as np
import pytest
import torch
from scipy import stats

from parametrisation import each_dtype, each_spec
from relaxit_reference import Spec
from relaxit_reference.testing.statistics import ALARM_RATE
from relaxit_reference.testing.strategies import BATCH_SHAPES, random_parameters

DTYPES = ["float16", "bfloat16", "float32", "float64"]
SAMPLE_SHAPES = [(), (4,), (2, 1), (0,)]


def needs_gradient(spec: Spec) -> None:
    if spec.relax.gradient == "none":
        pytest.skip(f"{spec.name}.toml says that samples have no gradient")


def draws_of(distribution) -> list:
    """All ways to draw a sample."""
    if not distribution.has_rsample:
        return [distribution.sample]
    return [
        distribution.sample,
        distribution.rsample,
        lambda shape: distribution.rsample_and_log_prob(shape)[0],
    ]


def assert_equal_rounded(found, expected) -> None:
    # Broadcast and contiguous memory go through different kernels of exp and log, which differ in
    # the last place; scores up to some 30, and a few terms, make that 500 of them in the precision
    # of the arithmetic. Half precision is then rounded once.
    precision = torch.finfo(found.dtype).eps
    working = torch.finfo(torch.promote_types(found.dtype, torch.float32)).eps
    tolerance = max(500 * working, 2 * precision)
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance)


def assert_exactly_equal(found, expected) -> None:
    assert torch.equal(found, expected)


def assert_same(first, second, noise, equal=assert_equal_rounded) -> None:
    """Both distributions map the same noise to the same values and give them the same density."""
    assert first.batch_shape == second.batch_shape
    assert first.event_shape == second.event_shape
    value = second.relax(noise)
    equal(first.relax(noise), value)
    equal(first.log_prob(value), second.log_prob(value))
    equal(first.log_prob_from_noise(noise), second.log_prob_from_noise(noise))


@pytest.mark.parametrize("sample_shape", SAMPLE_SHAPES, ids=lambda shape: f"sample_shape={shape}")
@pytest.mark.parametrize("batch_shape", BATCH_SHAPES, ids=lambda shape: f"batch_shape={shape}")
@each_spec
def test_shapes_are_sample_then_batch_then_event(
    spec: Spec, batch_shape, sample_shape, build, mild_parameters
) -> None:
    for names in spec.parameterisations():
        parameters = mild_parameters(spec, batch_shape, names=names)
        reference = spec.reference_class(**parameters, **spec.arguments)
        distribution = build(spec, parameters)
        assert distribution.batch_shape == reference.batch_shape == batch_shape
        assert distribution.event_shape == reference.event_shape
        noise = distribution.noise(sample_shape)
        assert noise.shape == (*sample_shape, *batch_shape, *reference.noise_shape)
        value_shape = (*sample_shape, *batch_shape, *reference.event_shape)
        value = distribution.sample(sample_shape)
        assert distribution.relax(noise).shape == value.shape == value_shape
        assert distribution.sample(torch.Size(sample_shape)).shape == value_shape
        if distribution.has_rsample:
            assert distribution.rsample(sample_shape).shape == value_shape
            value, log_prob = distribution.rsample_and_log_prob(sample_shape)
            assert value.shape == value_shape
            assert log_prob.shape == sample_shape + batch_shape
        assert distribution.log_prob(value).shape == sample_shape + batch_shape
        assert distribution.log_prob_from_noise(noise).shape == sample_shape + batch_shape
        if spec.harden:
            hard = distribution.harden(value)
            assert hard.shape == value_shape
            assert distribution.discrete.log_prob(hard).shape == sample_shape + batch_shape


@each_spec
def test_one_value_is_scored_by_every_element_of_the_batch(
    spec: Spec, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (2, 3)))
    single = build(spec, mild_parameters(spec)).sample()
    assert_equal_rounded(
        distribution.log_prob(single),
        distribution.log_prob(single.expand(2, 3, *single.shape)),
    )


@each_spec
def test_each_parameter_broadcasts_over_the_batch(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        if len(names) < 2:
            continue
        full = mild_parameters(spec, (2, 3), names=names)
        for name, shape in itertools.product(names, [(), (1,), (3,), (2, 1)]):
            few = mild_parameters(spec, shape, names=names, seed=1)[name]
            repeated = np.broadcast_to(few, full[name].shape).copy()
            broadcast = build(spec, {**full, name: few})
            expanded = build(spec, {**full, name: repeated})
            assert_same(broadcast, expanded, expanded.noise((2,)))


@each_spec
def test_parameters_of_different_shapes_span_the_batch(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        if len(names) < 2:
            continue
        columns = mild_parameters(spec, (2, 1), names=names)
        first, rows = names[0], mild_parameters(spec, (3,), names=names)
        outer = build(spec, {**columns, first: rows[first]})
        assert outer.batch_shape == (2, 3)
        for i, j in itertools.product(range(2), range(3)):
            cell = {name: value[i, 0] for name, value in columns.items()}
            alone = build(spec, {**cell, first: rows[first][j]})
            noise = outer.noise()
            assert_equal_rounded(outer.relax(noise)[i, j], alone.relax(noise[i, j]))
            value = outer.sample()
            assert_equal_rounded(outer.log_prob(value)[i, j], alone.log_prob(value[i, j]))


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_a_number_is_the_same_as_a_tensor(spec: Spec, dtype_: str, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        parameters = mild_parameters(spec, (3,), names=names)
        for name in names if len(names) > 1 else ():
            if spec.parameters[name].shape:
                continue
            # Rounded to bfloat16, which has the fewest digits: exact in every precision.
            number = torch.tensor(parameters[name][0]).bfloat16().item()
            expected = build(spec, {**parameters, name: np.full(3, number)}, dtype_)
            scalar = torch.tensor(number, dtype=torch.float64, device=expected.device)
            for what, given in {"a number": number, "a scalar tensor": scalar}.items():
                distribution = build(spec, {**parameters, name: given}, dtype_)
                assert distribution.dtype == expected.dtype, f"{what} as {name} changes the dtype"
                assert_same(distribution, expected, expected.noise((4,)))


@each_spec
def test_numbers_alone_have_the_default_dtype(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        numbers = {
            name: float(value) if value.ndim == 0 else torch.as_tensor(value, dtype=torch.float32)
            for name, value in mild_parameters(spec, names=names).items()
        }
        distribution = build(spec, numbers)
        assert distribution.dtype == distribution.sample().dtype == torch.get_default_dtype()
        assert distribution.batch_shape == ()


@each_dtype
@each_spec
def test_expand_keeps_values_and_copies_nothing(spec: Spec, dtype: str, build, mild_parameters):
    for names in spec.parameterisations():
        parameters = mild_parameters(spec, (3,), names=names)
        small = build(spec, parameters, dtype)
        repeated = {n: np.broadcast_to(v, (2, *v.shape)).copy() for n, v in parameters.items()}
        large, noise = build(spec, repeated, dtype), build(spec, repeated, dtype).noise((4,))
        expanded = small.expand((2, 3))
        assert type(expanded) is type(small)
        assert_same(expanded, large, noise)
        assert_same(expanded.expand((5, 2, 3)), large.expand((5, 2, 3)), large.noise((5,)))
        single = small.sample()[0]
        assert expanded.log_prob(single).shape == (2, 3)
        assert expanded.expand((5, 2, 3)).log_prob(single).shape == (5, 2, 3)
        for form in {"mean", "variance", "entropy"} & set(spec.closed_forms):
            moment = getattr(expanded, form)
            moment = moment() if callable(moment) else moment
            assert moment.shape[:2] == (2, 3), f"expand does not reach {form}"
        assert small.batch_shape == (3,), "expand changed the original"
        for name in names:
            assert getattr(expanded, name).data_ptr() == getattr(small, name).data_ptr(), (
                f"expand copied {name}"
            )


@each_spec
def test_expand_works_with_a_number(spec: Spec, build, mild_parameters) -> None:
    parameters = mild_parameters(spec, (3,))
    for name in parameters if len(parameters) > 1 else ():
        if not spec.parameters[name].shape:
            distribution = build(spec, {**parameters, name: float(parameters[name].flat[0])})
            assert distribution.expand((2, 3)).sample().shape[:2] == (2, 3)


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_expand_carries_gradients_to_the_original_parameters(
    spec: Spec, dtype_: str, build, leaves, mild_parameters
) -> None:
    needs_gradient(spec)
    parameters = leaves(mild_parameters(spec, (3,)), dtype_)
    value = build(spec, parameters, dtype_).expand((2, 3)).rsample((4,))
    weights = torch.arange(value.numel(), dtype=value.dtype, device=value.device)
    (value * weights.reshape(value.shape)).sum().backward()
    # Samples get their gradient from the backward temperature, if there is one.
    idle = {"temperature"} if "backward_temperature" in parameters else set()
    for name in parameters.keys() - idle:
        parameter = parameters[name]
        assert parameter.grad is not None, f"no gradient reaches {name} through expand"
        assert parameter.grad.dtype == parameter.dtype


@pytest.mark.parametrize("validate_args", [True, False])
@each_spec
def test_expand_keeps_the_choice_of_validation(
    spec: Spec, validate_args, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec), validate_args=validate_args).expand((2,))
    nowhere = torch.full_like(distribution.sample(), torch.nan)
    if validate_args:
        with pytest.raises(ValueError, match="value must be"):
            distribution.log_prob(nowhere)
    else:
        distribution.log_prob(nowhere)


@each_spec
def test_independent_and_to_event_sum_over_the_batch(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (2, 3)))
    value = distribution.sample((4,))
    expected = distribution.log_prob(value).sum(-1)
    for joined in (torch.distributions.Independent(distribution, 1), distribution.to_event(1)):
        assert joined.batch_shape == (2,)
        assert joined.event_shape == (3, *distribution.event_shape)
        assert torch.equal(joined.log_prob(value), expected)
        assert joined.sample((5,)).shape == (5, 2, 3, *distribution.event_shape)
        assert joined.support.check(value).shape == (4, 2)
        assert joined.support.check(value).all()
        assert joined.has_rsample == distribution.has_rsample


@each_spec
def test_a_mask_leaves_out_elements_of_the_batch(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)))
    mask = torch.tensor([True, False, True], device=distribution.device)
    value = distribution.sample((4,))
    masked = distribution.mask(mask)
    assert torch.equal(masked.log_prob(value), distribution.log_prob(value) * mask)
    assert masked.sample((2,)).shape == (2, 3, *distribution.event_shape)


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_support_contains_every_sample(spec: Spec, dtype_: str, build) -> None:
    for names in spec.parameterisations():
        parameters = random_parameters(
            spec,
            np.random.default_rng(1),
            names=names,
            batch_shape=(300,),
            ranges={"probs": (0.01, 0.99)},  # nearer to 1 they round to 1 in half precision
        )
        # Probabilities that were rounded to half precision no longer sum to one.
        distribution = build(spec, parameters, dtype_, validate_args=False)
        torch.manual_seed(0)
        for draw in draws_of(distribution):
            value = draw((20,))
            accepted = distribution.support.check(value)
            assert accepted.all(), f"support refuses its own sample {value[~accepted][0].tolist()}"


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_all_results_have_the_dtype_of_the_parameters(
    spec: Spec, dtype_: str, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), dtype_)
    value = distribution.sample((2,))
    results = {
        "noise": distribution.noise((2,)),
        "relax": distribution.relax(distribution.noise()),
        "sample": value,
        "log_prob": distribution.log_prob(value),
        "log_prob_from_noise": distribution.log_prob_from_noise(distribution.noise()),
    }
    if distribution.has_rsample:
        results["rsample"] = distribution.rsample()
        pair = distribution.rsample_and_log_prob((2,))
        results["rsample_and_log_prob[0]"], results["rsample_and_log_prob[1]"] = pair
    if spec.harden:
        results["harden"] = distribution.harden(value)
        results["discrete.sample"] = distribution.discrete.sample()
        results["discrete.log_prob"] = distribution.discrete.log_prob(distribution.harden(value))
    for form in set(spec.closed_forms) - {"kl"}:
        found = getattr(distribution, form)
        if callable(found):
            found = found() if form == "entropy" else found(torch.full_like(value, 0.5))
        results[form] = found
    for name, result in results.items():
        assert result.dtype == distribution.dtype == getattr(torch, dtype_), f"{name} changes dtype"
        assert result.device.type == distribution.device.type, f"{name} changes device"


@each_spec
def test_only_rsample_carries_gradients(spec: Spec, build, leaves, mild_parameters) -> None:
    distribution = build(spec, leaves(mild_parameters(spec, (3,))))
    assert distribution.has_rsample == (spec.relax.gradient != "none")
    assert not distribution.sample().requires_grad
    assert not distribution.noise().requires_grad
    if distribution.has_rsample:
        assert distribution.rsample().requires_grad
        assert all(result.requires_grad for result in distribution.rsample_and_log_prob())
    else:
        for draw in (distribution.rsample, distribution.rsample_and_log_prob):
            with pytest.raises(NotImplementedError, match="is discrete and has no gradient"):
                draw()


@each_dtype
@each_spec
def test_rsample_is_relax_of_the_noise(spec: Spec, dtype: str, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), dtype)
    torch.manual_seed(0)
    expected = distribution.relax(distribution.noise((5,)))
    for draw in draws_of(distribution):
        torch.manual_seed(0)
        assert torch.equal(draw((5,)), expected)


@each_spec
def test_no_two_entries_of_the_noise_are_equal(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (2, 3)))
    torch.manual_seed(0)
    # 63 random bits in float64: the chance of a tie among these few thousand is 10^-12.
    drawn = torch.stack([distribution.noise((20, 4)), distribution.noise((20, 4))])
    single = distribution.noise()
    assert single.unique().numel() == single.numel(), "one noise value is shared by the batch"
    distinct = drawn.unique().numel()
    assert distinct == drawn.numel(), (
        f"noise of shape {tuple(drawn.shape)} has only {distinct} distinct entries: "
        "it is shared between samples, batch elements or event entries"
    )


@each_spec
def test_noise_is_uncorrelated_across_sample_batch_and_event(
    spec: Spec, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (2, 3)))
    torch.manual_seed(0)
    count = 20_000
    columns = distribution.noise((count, 2)).reshape(count, -1).cpu().numpy()
    # Rank correlations of independent columns are normal, whatever the distribution of the noise.
    correlations = np.asarray(stats.spearmanr(columns).statistic)[
        np.triu_indices(columns.shape[1], 1)
    ]
    limit = stats.norm.isf(ALARM_RATE / 2 / correlations.size) / (count - 1) ** 0.5
    assert np.abs(correlations).max() <= limit, (
        f"two entries of the noise of one sample have the rank correlation "
        f"{np.abs(correlations).max():.3f}; independent ones exceed {limit:.3f} with probability "
        f"{ALARM_RATE}"
    )


@each_spec
def test_samples_with_equal_parameters_are_independent(spec: Spec, build, mild_parameters) -> None:
    distribution = build(spec, mild_parameters(spec, (1,))).expand((6,))
    torch.manual_seed(0)
    value = distribution.sample((200,))
    flat = value.reshape(200 * 6, -1)
    if spec.density.kind == "continuous":
        assert flat.unique(dim=0).shape[0] == flat.shape[0], "samples repeat"
        return
    pairs = itertools.combinations(range(6), 2)
    same = [i_j for i_j in pairs if torch.equal(value[:, i_j[0]], value[:, i_j[1]])]
    assert not same, f"batch elements {same} have the same 200 samples"
    assert (value != value[:1]).any(), "all samples are equal"


@each_spec
def test_the_noise_of_an_element_moves_that_element_alone(
    spec: Spec, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (2, 3)))
    torch.manual_seed(0)
    noise, other = distribution.noise((2,)), distribution.noise((2,))
    before, log_before = distribution.relax(noise), distribution.log_prob_from_noise(noise)
    moved = 0
    for element in itertools.product(range(2), range(2), range(3)):
        changed = noise.clone()
        changed[element] = other[element]
        after, log_after = distribution.relax(changed), distribution.log_prob_from_noise(changed)
        moved += int(not torch.equal(after[element], before[element]))
        after[element], log_after[element] = before[element], log_before[element]
        assert torch.equal(after, before), f"noise of element {element} moves other values"
        assert torch.equal(log_after, log_before), f"noise of element {element} moves other scores"
    assert moved > 0, "noise moves nothing"


@each_spec
def test_gradients_of_an_element_stay_in_that_element(
    spec: Spec, build, leaves, mild_parameters
) -> None:
    needs_gradient(spec)
    parameters = leaves(mild_parameters(spec, (2, 3)))
    distribution = build(spec, parameters)
    torch.manual_seed(0)
    value, log_prob = distribution.rsample_and_log_prob((2,))
    for i, j in itertools.product(range(2), range(3)):
        weighted = (value[:, i, j] ** 2).sum() + log_prob[:, i, j].sum()
        gradients = torch.autograd.grad(
            weighted, parameters.values(), retain_graph=True, allow_unused=True
        )
        for name, gradient in zip(parameters, gradients, strict=True):
            if gradient is not None:
                gradient[i, j] = 0
                assert not gradient.any(), f"value {i, j} has gradients in other elements of {name}"


@pytest.mark.parametrize("dtype_", DTYPES)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        lambda it: pickle.loads(pickle.dumps(it)),
        lambda it: _saved_and_loaded(it),
    ],
    ids=["copy", "deepcopy", "pickle", "torch.save"],
)
@each_spec
def test_a_copy_is_the_same_distribution(
    spec: Spec, duplicate, dtype_: str, build, mild_parameters
) -> None:
    distribution = build(spec, mild_parameters(spec, (3,)), dtype_)
    for original in (distribution, distribution.expand((2, 3))):
        assert_same(duplicate(original), original, original.noise((4,)), assert_exactly_equal)
        assert repr(duplicate(original)) == repr(original)


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_a_deep_copy_of_a_learnable_distribution_has_parameters_of_its_own(
    spec: Spec, dtype_: str, build, leaves, mild_parameters
) -> None:
    for names in spec.parameterisations():
        few = leaves(mild_parameters(spec, names=names), dtype_)
        for original in (build(spec, few), build(spec, few).expand((2, 3))):
            duplicate = copy.deepcopy(original)
            assert_same(duplicate, original, original.noise(), assert_exactly_equal)
            for name in names:
                theirs, ours = getattr(original, name), getattr(duplicate, name)
                assert ours.data_ptr() != theirs.data_ptr(), f"{name} is shared"
                assert ours.requires_grad


@pytest.mark.parametrize("dtype_", DTYPES)
@each_spec
def test_a_distribution_follows_an_optimiser_except_in_half_precision(
    spec: Spec, dtype_: str, build, leaves, mild_parameters
) -> None:
    names = spec.parameterisations()[-1]
    given = leaves(mild_parameters(spec, (3,), names=names), dtype_)
    distribution = build(spec, given)
    noise = distribution.noise((20,))
    before = build(spec, {name: value.detach().clone() for name, value in given.items()})
    with torch.no_grad():
        for name, value in mild_parameters(spec, (3,), names=names, seed=1).items():
            given[name].copy_(torch.as_tensor(value))
    anew = build(spec, {name: value.detach() for name, value in given.items()})
    # Half precision computes with the float32 copy that was made with the distribution.
    is_half = anew.dtype in (torch.float16, torch.bfloat16)
    relaxed = (before if is_half else anew).relax(noise)
    assert_exactly_equal(distribution.relax(noise), relaxed)
    if not is_half:
        assert_same(distribution, anew, noise, assert_exactly_equal)


def _saved_and_loaded(distribution):
    buffer = io.BytesIO()
    torch.save(distribution, buffer)
    buffer.seek(0)
    return torch.load(buffer, weights_only=False)


@each_dtype
@each_spec
def test_parameters_are_not_changed(spec: Spec, dtype: str, build, leaves, mild_parameters) -> None:
    for names in spec.parameterisations():
        given = leaves(mild_parameters(spec, (3,), names=names), dtype)
        before = {name: value.detach().clone() for name, value in given.items()}
        distribution = build(spec, given)
        noise = distribution.noise((2,))
        noise_before = noise.clone()
        value = distribution.relax(noise)
        value_before = value.clone()
        distribution.log_prob(value)
        distribution.log_prob_from_noise(noise)
        distribution.expand((2, 3)).sample()
        if spec.harden:
            distribution.harden(value)
        assert torch.equal(noise, noise_before), "noise was changed in place"
        assert torch.equal(value, value_before), "value was changed in place"
        for name, value in given.items():
            assert torch.equal(value, before[name]), f"{name} was changed in place"


@each_spec
def test_repr_names_class_and_parameters(spec: Spec, build, mild_parameters) -> None:
    for names in spec.parameterisations():
        for batch_shape in [(), (2, 3)]:
            text = repr(build(spec, mild_parameters(spec, batch_shape, names=names)))
            assert text.startswith(f"{spec.classes.torch}(")
            for name in (*names, *spec.arguments):
                assert f"{name}: " in text, f"{text} does not show {name}"
            for name in spec.parameters.keys() - spec.counts.keys() - set(names):
                assert f"{name}: " not in text, f"{text} shows {name}, which was not given"
