"""Modules: gates that close on what a network can do without, and choices that grow sharp."""

from __future__ import annotations

import copy
import io
import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import relaxit_torch as rt
from relaxit_torch.nn import (
    CorrelatedGates,
    Gates,
    GumbelSoftmaxLayer,
    HardConcreteGates,
    StochasticGates,
    TemperatureSchedule,
)
from relaxit_torch.nn.temperature_schedule import Curve

GATES = [HardConcreteGates, StochasticGates, CorrelatedGates]
CURVES: list[Curve] = ["exponential", "linear", "cosine"]


@pytest.fixture(params=GATES, ids=lambda family: family.__name__)
def family(request) -> type[Gates]:
    return request.param


def trained(family: type[Gates], size: int = 6, **options) -> Gates:
    """Gates from nearly closed to nearly open."""
    gates = family(size, **options)
    (parameter,) = gates.parameters()
    centre = 0.5 if family is StochasticGates else 0.0
    with torch.no_grad():
        parameter.copy_(torch.linspace(-1, 1, size) * (1 if centre else 4) + centre)
    return gates


def open_values(gates: Gates, value: Tensor) -> Tensor:
    """Where gates are open. Correlated gates are relaxed bits, open where they harden to 1."""
    return value > (0.5 if isinstance(gates, CorrelatedGates) else 0)


# Gates.


def test_gates_of_training_are_samples_of_their_distribution(family, device: str) -> None:
    gates, data = trained(family, device=device), torch.randn(5, 3, 6, device=device)
    torch.manual_seed(0)
    found = gates(data)
    torch.manual_seed(0)
    assert torch.equal(found, data * gates.distribution.rsample((5, 3)))
    assert found[0].ne(found[1]).any(), "each example has gates of its own"


def test_the_penalty_is_the_expected_number_of_open_gates(family, device: str) -> None:
    gates = trained(family, device=device)
    draws = 100_000
    drawn = open_values(gates, gates(torch.ones(draws, 6, device=device))).double()
    variance = (gates.prob_open * (1 - gates.prob_open)).double()
    error = drawn.mean(0) - gates.prob_open
    # 5 standard errors in each of 6 gates: a false alarm in 1 of 10^5 seeds.
    assert (error.abs() < 5 * (variance / draws).sqrt()).all()
    torch.testing.assert_close(gates.penalty(), gates.prob_open.sum())
    assert gates.penalty().shape == ()


@pytest.mark.parametrize(
    ("family", "derivative"),
    [
        # d sigmoid(x - tau log(-low / high)) / dx
        (
            HardConcreteGates,
            lambda x: (
                torch.sigmoid(x + 2 / 3 * math.log(11)) * torch.sigmoid(-x - 2 / 3 * math.log(11))
            ),
        ),
        # d Phi(2 x) / dx
        (StochasticGates, lambda x: 2 * torch.exp(-2 * x.square()) / math.sqrt(2 * math.pi)),
        (CorrelatedGates, lambda x: torch.sigmoid(x) * torch.sigmoid(-x)),
    ],
)
def test_the_penalty_has_its_gradient_in_evaluation_too(family, derivative) -> None:
    gates = trained(family).eval()
    (parameter,) = gates.parameters()
    (gradient,) = torch.autograd.grad(gates.penalty(), parameter)
    torch.testing.assert_close(gradient, derivative(parameter.detach()))


def test_gates_of_evaluation_are_the_same_each_time_and_draw_nothing(family) -> None:
    gates, data = trained(family).eval(), torch.randn(4, 6)
    before = torch.get_rng_state()
    assert torch.equal(gates(data), gates(data))
    assert torch.equal(torch.get_rng_state(), before)
    assert torch.equal(gates(data), data * gates.deterministic_gate)


@pytest.mark.parametrize(
    ("family", "expected"),
    [
        # clip(1.2 sigmoid(logit) - 0.1, 0, 1), clip(loc, 0, 1), and 1 where sigmoid(logit) > 1/2,
        # of logits -4, -2.4, ..., 4 and locations -0.5, -0.1, ..., 1.5
        (HardConcreteGates, [0.0, 0.0, 0.272030, 0.727970, 1.0, 1.0]),
        (StochasticGates, [0.0, 0.0, 0.3, 0.7, 1.0, 1.0]),
        (CorrelatedGates, [0.0, 0.0, 0.0, 1.0, 1.0, 1.0]),
    ],
)
def test_gates_of_evaluation_follow_the_formulas_of_the_papers(family, expected) -> None:
    torch.testing.assert_close(
        trained(family).deterministic_gate.detach(), torch.tensor(expected), rtol=0, atol=1e-5
    )


def test_a_network_without_the_pruned_features_returns_the_same(family) -> None:
    gates, linear, data = trained(family).eval(), nn.Linear(6, 3), torch.randn(5, 6)
    kept = gates.prune()
    assert kept.dtype == torch.int64
    assert 0 < len(kept) < 6
    weight = linear.weight[:, kept] * gates.deterministic_gate[kept]
    pruned = nn.functional.linear(data[:, kept], weight, linear.bias)
    torch.testing.assert_close(pruned, linear(gates(data)))


@pytest.mark.parametrize("family", [HardConcreteGates, StochasticGates])
def test_gates_of_channels(family) -> None:
    gates, images = family((3, 1, 1)), torch.ones(5, 3, 4, 4)
    with torch.no_grad():
        next(gates.parameters())[1] = -20.0
    drawn = gates(images)
    assert drawn.shape == images.shape
    assert torch.equal(drawn, drawn[..., :1, :1].expand_as(drawn)), "one gate for a channel"
    assert not drawn[:, 1].any()
    assert gates.prune().tolist() == [0, 2]
    assert gates.eval()(images).shape == images.shape


@pytest.mark.parametrize("shape", [(5,), (2, 1), (), (6, 5)])
def test_an_input_with_another_number_of_features_is_refused(family, shape) -> None:
    words = r"input must have a shape that ends with \(6,\), but got " + str(shape).translate(
        {ord("("): r"\(", ord(")"): r"\)"}
    )
    for gates in (family(6), family(6).eval()):
        with pytest.raises(ValueError, match=words):
            gates(torch.ones(shape))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_outputs_have_the_dtype_of_the_input(family, dtype) -> None:
    for gates in (family(3), family(3).to(dtype), family(3, dtype=dtype)):
        for mode in (gates.train(), gates.eval()):
            assert mode(torch.ones(2, 3, dtype=dtype)).dtype == dtype
        assert gates.prune().shape <= (3,)


def test_a_state_dict_restores_the_gates(family) -> None:
    options: dict[str, Any] = {}
    if family is CorrelatedGates:
        options["correlation_matrix"] = torch.eye(6) * 0.6 + 0.4
    gates, other = trained(family, **options), family(6)
    kept = io.BytesIO()
    torch.save(gates.state_dict(), kept)
    kept.seek(0)
    other.load_state_dict(torch.load(kept, weights_only=True))
    for module in (gates, other):
        module.train()
    data = torch.ones(4, 6)
    torch.manual_seed(0)
    expected = gates(data)
    torch.manual_seed(0)
    assert torch.equal(other(data), expected)
    assert torch.equal(other.prune(), gates.prune())
    copied = copy.deepcopy(gates)
    torch.manual_seed(0)
    assert torch.equal(copied(data), expected)


def test_gates_are_made_without_values_and_reset_later(family) -> None:
    with torch.device("meta"):
        gates = family(4)
    assert next(gates.parameters()).device.type == "meta"
    gates.to_empty(device="cpu").reset_parameters()
    assert torch.equal(next(gates.parameters()), next(family(4).parameters()))


@pytest.mark.parametrize(
    ("family", "options", "words"),
    [
        (HardConcreteGates, {"initial_probs": 1.0}, r"initial_probs must be in .*\(0, 1\), .* 1.0"),
        (HardConcreteGates, {"temperature": 0.0}, "temperature must be positive and finite"),
        (HardConcreteGates, {"low": 0.0}, "low must be negative and finite, but got 0.0"),
        (HardConcreteGates, {"high": 1.0}, "high must be above 1 and finite, but got 1.0"),
        (StochasticGates, {"initial_loc": math.nan}, "initial_loc must be finite, but got nan"),
        (StochasticGates, {"scale": -1.0}, "scale must be positive and finite, but got -1.0"),
        (CorrelatedGates, {"initial_probs": 0.0}, "initial_probs must be in the open interval"),
        (CorrelatedGates, {"temperature": -1.0}, "temperature must be positive and finite"),
        (
            CorrelatedGates,
            {"correlation_matrix": torch.ones(4, 4)},
            "correlation_matrix must be positive definite",
        ),
        (
            CorrelatedGates,
            {"correlation_matrix": torch.eye(3)},
            r"correlation_matrix must have the shape \(4, 4\), but got \(3, 3\)",
        ),
    ],
)
def test_bad_options_of_gates_are_refused(family, options, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        family(4, **options)


@pytest.mark.parametrize("size", [0, -1, 2.5])
def test_a_number_of_gates_is_a_count(family, size) -> None:
    with pytest.raises(ValueError, match=f"must be an integer of at least 1, but got {size}"):
        family(size)


def test_correlated_gates_open_together() -> None:
    matrix = torch.tensor([[1.0, 0.8, 0.0], [0.8, 1.0, 0.0], [0.0, 0.0, 1.0]])
    gates = CorrelatedGates(3, matrix)
    torch.testing.assert_close(gates.distribution.correlation_matrix, matrix)
    draws = 100_000
    drawn = (gates(torch.ones(draws, 3)) > 0.5).double()
    # Two bits of probability 1/2 are 1 together with probability 1/4 + arcsin(R) / (2 pi).
    for i, j in ((0, 1), (0, 2)):
        both = 0.25 + math.asin(matrix[i, j]) / (2 * math.pi)
        error = (drawn[:, i] * drawn[:, j]).mean().item() - both
        # 5 standard errors: a false alarm in 1 of 10^6 seeds.
        assert abs(error) < 5 * math.sqrt(both * (1 - both) / draws)


# Feature selection.


def two_moons(generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Standardised points `(1000, 20)`: two half circles in features 0 and 1, 18 of pure noise."""
    angle = math.pi * torch.rand(1000, generator=generator)
    label = torch.arange(1000) % 2
    upper = torch.stack([angle.cos(), angle.sin()], -1)
    lower = torch.stack([1 - angle.cos(), 0.5 - angle.sin()], -1)
    moons = torch.where(label[:, None] == 0, upper, lower)
    moons += 0.1 * torch.randn(1000, 2, generator=generator)
    points = torch.cat([moons, torch.randn(1000, 18, generator=generator)], -1)
    return (points - points.mean(0)) / points.std(0), label


@pytest.mark.parametrize("seed", range(10))
def test_only_the_gates_of_relevant_features_stay_open(family, seed: int) -> None:
    points, label = two_moons(torch.Generator().manual_seed(seed))
    torch.manual_seed(seed)
    options = [torch.corrcoef(points.T)] if family is CorrelatedGates else []
    gates = family(20, *options)
    network = nn.Sequential(gates, nn.Linear(20, 32), nn.ReLU(), nn.Linear(32, 2))
    optimizer = torch.optim.Adam(network.parameters(), lr=0.02)
    for _ in range(500):
        loss = nn.functional.cross_entropy(network(points), label) + 0.02 * gates.penalty()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    assert gates.prune().tolist() == [0, 1]
    right = (network(points).argmax(-1) == label).float().mean()
    assert right > 0.98  # feature 1 alone gives 0.83


# Temperatures.


def test_a_schedule_takes_the_values_of_the_scheduler_of_torch() -> None:
    start, end, steps = 2.0, 0.1, 20
    schedulers: dict[Curve, Callable[..., Any]] = {
        "exponential": lambda optimizer: torch.optim.lr_scheduler.ExponentialLR(
            optimizer, (end / start) ** (1 / steps)
        ),
        "linear": lambda optimizer: torch.optim.lr_scheduler.LinearLR(
            optimizer, 1.0, end / start, steps
        ),
        "cosine": lambda optimizer: torch.optim.lr_scheduler.CosineAnnealingLR(
            optimizer, steps, end
        ),
    }
    assert list(schedulers) == CURVES
    for curve, make in schedulers.items():
        optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=start)
        expected = make(optimizer)
        schedule = TemperatureSchedule(curve, start=start, end=end, steps=steps)
        for _ in range(steps + 1):
            assert schedule.get_last_temperature() == pytest.approx(expected.get_last_lr()[0])
            optimizer.step()
            expected.step()
            schedule.step()
        assert schedule.get_last_temperature() == pytest.approx(end, rel=1e-12)


@pytest.mark.parametrize("curve", CURVES)
def test_a_schedule_goes_on_where_it_was_saved(curve) -> None:
    schedule = TemperatureSchedule(curve, start=1.0, end=0.1, steps=10)
    for _ in range(3):
        schedule.step()
    other = TemperatureSchedule("linear", start=5.0, end=1.0, steps=2)
    other.load_state_dict(copy.deepcopy(schedule.state_dict()))
    for _ in range(10):
        assert other.get_last_temperature() == schedule.get_last_temperature()
        schedule.step()
        other.step()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"curve": "square"}, "curve must be one of exponential, linear, cosine, but got 'square'"),
        ({"start": 0.0}, "start must be positive and finite, but got 0.0"),
        ({"end": math.inf}, "end must be positive and finite, but got inf"),
        ({"steps": 0}, "steps must be an integer of at least 1, but got 0"),
    ],
)
def test_bad_options_of_a_schedule_are_refused(change, words: str) -> None:
    arguments = {"curve": "linear", "start": 1.0, "end": 0.1, "steps": 5} | change
    with pytest.raises(ValueError, match=words):
        TemperatureSchedule(**arguments)


# The layer.


@pytest.mark.parametrize("hard", [False, True])
@pytest.mark.parametrize("dim", [-1, 1])
def test_the_layer_samples_at_the_temperature_of_its_schedule(hard: bool, dim: int) -> None:
    schedule = TemperatureSchedule("exponential", start=1.0, end=0.1, steps=5)
    layer, logits = GumbelSoftmaxLayer(schedule, hard=hard, dim=dim), torch.randn(4, 3, 5)
    for temperature in (1.0, 10**-0.2):
        assert layer.temperature == pytest.approx(temperature)
        torch.manual_seed(1)
        found = layer(logits)
        torch.manual_seed(1)
        expected = rt.functional.gumbel_softmax(logits, temperature, hard, dim)
        torch.testing.assert_close(found, expected)
        schedule.step()


def test_the_layer_chooses_the_likeliest_category_in_evaluation() -> None:
    layer = GumbelSoftmaxLayer(0.5, dim=0).eval()
    logits = torch.tensor([[0.0, 3.0], [1.0, -torch.inf]], requires_grad=True)
    before = torch.get_rng_state()
    assert layer(logits).tolist() == [[0.0, 1.0], [1.0, 0.0]]
    assert torch.equal(torch.get_rng_state(), before)


def schedule_of(network: nn.Sequential) -> TemperatureSchedule:
    layer = network[1]
    assert isinstance(layer, GumbelSoftmaxLayer)
    assert isinstance(layer.schedule, TemperatureSchedule)
    return layer.schedule


def test_the_temperature_is_part_of_the_state_of_a_network() -> None:
    def make(start: float) -> nn.Sequential:
        schedule = TemperatureSchedule("cosine", start=start, end=0.1, steps=7)
        return nn.Sequential(nn.Linear(3, 4), GumbelSoftmaxLayer(schedule))

    network, other = make(2.0), make(1.0)
    schedule, handle = schedule_of(network), schedule_of(other)
    schedule.step()
    kept = io.BytesIO()
    torch.save(network.state_dict(), kept)
    kept.seek(0)
    other.load_state_dict(torch.load(kept, weights_only=True))
    assert other[1].temperature == network[1].temperature != 2.0
    handle.step()
    schedule.step()
    assert other[1].temperature == network[1].temperature


def test_a_number_is_a_temperature_that_stays() -> None:
    layer = GumbelSoftmaxLayer(0.3)
    layer.schedule.step()
    assert layer.temperature == 0.3
    with pytest.raises(ValueError, match=r"temperature must be positive and finite, but got -1\.0"):
        GumbelSoftmaxLayer(-1.0)


def test_modules_say_what_they_are() -> None:
    schedule = TemperatureSchedule("linear", start=1.0, end=0.5, steps=9)
    assert repr(HardConcreteGates(20)) == "HardConcreteGates(20)"
    assert repr(StochasticGates((3, 1, 1))) == "StochasticGates((3, 1, 1))"
    assert repr(GumbelSoftmaxLayer(schedule)) == (
        "GumbelSoftmaxLayer(TemperatureSchedule('linear', start=1.0, end=0.5, steps=9), "
        "hard=False, dim=-1)"
    )


def test_gates_refuse_integers_and_new_correlated_ones_are_open(family) -> None:
    gates = family(3)
    with pytest.raises(TypeError, match="input must be floating-point numbers, but got"):
        gates(torch.full((2, 3), 5))
    assert gates.prune().tolist() == [0, 1, 2]


@pytest.mark.parametrize(
    ("state", "words"),
    [
        ({"foo": 1}, "state_dict must have the entries curve, start, .*, but got foo"),
        ({"start": -3.0}, "start must be positive and finite, but got -3.0"),
        ({"last_step": -1}, "last_step must be an integer of at least 1, but got -1"),
    ],
)
def test_a_schedule_refuses_the_state_of_something_else(state, words: str) -> None:
    schedule = TemperatureSchedule("linear", start=1.0, end=0.5, steps=4)
    given = state if "foo" in state else schedule.state_dict() | state
    with pytest.raises(ValueError, match=words):
        schedule.load_state_dict(given)
    assert schedule.start == 1.0


@pytest.mark.parametrize("wrong", [None, "a", torch.tensor([0.5, 0.7])])
def test_temperatures_of_modules_are_numbers(wrong) -> None:
    with pytest.raises(TypeError, match="start must be a number, but got"):
        TemperatureSchedule("linear", start=wrong, end=0.5, steps=4)
    with pytest.raises(TypeError, match="temperature must be a number, but got"):
        GumbelSoftmaxLayer(wrong)
