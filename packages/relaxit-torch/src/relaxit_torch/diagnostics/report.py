"""Draws of estimators, and their moments against the exact gradient."""

from __future__ import annotations

import functools
import inspect
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from numbers import Real
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical

from relaxit_torch.core.parameters import check_count
from relaxit_torch.diagnostics.row import GradientRow
from relaxit_torch.diagnostics.table import GradientReport
from relaxit_torch.estimators import exact
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction

Estimator = Callable[..., Tensor]

TEMPERATURES = ("temperature", "backward_temperature")
"""The options that a report varies, at most one of which an estimator has."""

TINY = 1e-300
"""A vector shorter than this has no direction: its cosine is 0."""


def gradient_report(
    estimators: Iterable[Estimator] | Mapping[str, Estimator],
    distribution: Distribution,
    f: SampleFunction,
    *,
    samples: int = 1000,
    temperatures: Sequence[float] | None = None,
    exact_gradient: Tensor | None = None,
    rescale: bool = False,
    chunk_size: int | None = None,
) -> GradientReport:
    """Measures estimators against the exact gradient with respect to the logits.

    Args:
        estimators: Functions of `relaxit_torch.estimators`, or with the same signature. Give
            options by `functools.partial(gumbel_rao, samples=100)`, and names by a mapping. The
            default name is the function's, with its options other than temperatures.
        distribution: See `relaxit_torch.estimators`. Its logits need not require a gradient.
        f: See `relaxit_torch.estimators`. The parameters of `f` get no gradient.
        samples: The number of draws of each estimator, at least 2.
        temperatures: An estimator with a `temperature` (or `backward_temperature`) that no
            `partial` has fixed gets one row per temperature.
        exact_gradient: The gradient of the sum of `f` over the batch, of the shape of the logits.
            Default: computed by `exact`.
        rescale: Whether each estimator is rescaled so that its mean has the exact gradient's norm.
            Then only directions are compared, which is what matters to an optimiser with an
            adaptive step (Hooper, Shekhovtsov 2026). A mean of 0 stays 0.
        chunk_size: The number of draws that are made at once. Default: all.

    Returns:
        A report with its rows in the order of the estimators and temperatures.

    Raises:
        TypeError, ValueError: `distribution` or `f` is refused by an estimator.
        ValueError: `temperatures` is empty, `samples` is below 2, `chunk_size` is not a positive
            integer, two estimators have the same name, or `exact_gradient` has another shape. Or
            it is None and an event has too many states for `exact`.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli, Independent
        >>> from relaxit_torch.diagnostics import gradient_report
        >>> from relaxit_torch.estimators import arm, disarm, exact
        >>> bits = Independent(Bernoulli(logits=torch.tensor([0.0, 1.0, -1.0])), 1)
        >>> parity = lambda b: b.sum(-1) % 2
        >>> _ = torch.manual_seed(0)
        >>> report = gradient_report([arm, disarm, exact], bits, parity, samples=1000)
        >>> [(row.estimator, row.has_bias, row.evaluations) for row in report.rows]
        [('arm', False, 2.0), ('disarm', False, 2.0), ('exact', False, 8.0)]
        >>> report.rows[1].variance < report.rows[0].variance
        True
        >>> print(report)  # doctest: +ELLIPSIS
        estimator  temperature  bias_squared ...
    """
    if temperatures is not None and not len(temperatures):
        raise ValueError("temperatures must be None or have an entry, but got none")
    if check_count("samples", samples) < 2:
        raise ValueError(f"samples must be an integer of at least 2, but got {samples}")
    chunk = samples if chunk_size is None else check_count("chunk_size", chunk_size)
    with torch.enable_grad():
        variable = DiscreteVariable.of(distribution, differentiable=False)
        logits = variable.logits.detach()
        if exact_gradient is None:
            leaf = logits.clone().requires_grad_()
            value = exact(_with_logits(distribution, leaf), f)
            (exact_gradient,) = torch.autograd.grad(value.sum(), leaf)
        elif exact_gradient.shape != logits.shape:
            raise ValueError(
                f"exact_gradient must have the shape of the logits, {tuple(logits.shape)}, "
                f"but got {tuple(exact_gradient.shape)}"
            )
        truth = exact_gradient.detach().flatten().double()
        rows = []
        for name, temperature, estimator in _variants(estimators, temperatures):
            draws, evaluations, seconds = _draw(estimator, distribution, logits, f, samples, chunk)
            moments = _moments(draws.flatten(1).double(), truth, rescale)
            rows.append(
                GradientRow(
                    estimator=name,
                    temperature=temperature,
                    **moments,
                    evaluations=evaluations,
                    seconds=seconds,
                )
            )
    return GradientReport(tuple(rows), samples)


def _variants(
    estimators: Iterable[Estimator] | Mapping[str, Estimator], temperatures: Sequence[float] | None
) -> Iterator[tuple[str, float | None, Estimator]]:
    """The name, temperature and function of each row."""
    if not isinstance(estimators, Mapping):
        functions = list(estimators)
        estimators = {_name(function): function for function in functions}
        if len(estimators) < len(functions):
            raise ValueError(
                "estimators must have different names, or be a mapping that gives them, "
                f"but got {[_name(function) for function in functions]}"
            )
    for name, estimator in estimators.items():
        options = inspect.signature(estimator).parameters
        option = next((option for option in TEMPERATURES if option in options), None)
        fixed = isinstance(estimator, functools.partial) and option in estimator.keywords
        if option is None:
            yield name, None, estimator
        elif fixed or temperatures is None:
            yield name, _number(options[option].default), estimator
        else:
            for temperature in temperatures:
                yield name, temperature, functools.partial(estimator, **{option: temperature})


def _name(estimator: Estimator) -> str:
    """The name of the function, with its options other than temperatures."""
    if not isinstance(estimator, functools.partial):
        return getattr(estimator, "__name__", type(estimator).__name__)
    options = (f"{k}={v}" for k, v in estimator.keywords.items() if k not in TEMPERATURES)
    return f"{_name(estimator.func)}({', '.join(options)})".removesuffix("()")


def _number(temperature: Any) -> float | None:
    single = isinstance(temperature, Real) or (
        isinstance(temperature, Tensor) and temperature.numel() == 1
    )
    return float(temperature) if single else None


def _with_logits(distribution: Distribution, logits: Tensor) -> Distribution:
    """The same distribution with other logits, which may have further batch dimensions."""
    validate_args = distribution._validate_args
    if isinstance(distribution, Independent):
        base = _with_logits(distribution.base_dist, logits)
        dimensions = distribution.reinterpreted_batch_ndims
        return Independent(base, dimensions, validate_args=validate_args)
    family = Bernoulli if isinstance(distribution, Bernoulli) else OneHotCategorical
    return family(logits=logits, validate_args=validate_args)


def _draw(
    estimator: Estimator,
    distribution: Distribution,
    logits: Tensor,
    f: SampleFunction,
    samples: int,
    chunk: int,
) -> tuple[Tensor, float, float]:
    """Gradients `(samples, *logits.shape)`; evaluations of `f` and seconds per draw."""
    evaluations, gradients = 0, []

    def counted(value: Tensor) -> Tensor:
        nonlocal evaluations
        found = f(value)
        evaluations += found.numel() if isinstance(found, Tensor) else 0
        return found

    start = _now(logits.device)
    for first in range(0, samples, chunk):
        size = min(chunk, samples - first)
        # Each draw has its own copy of the logits, and so its own gradient.
        leaf = logits.expand(size, *logits.shape).clone().requires_grad_()
        value = estimator(_with_logits(distribution, leaf), counted)
        (gradient,) = torch.autograd.grad(value.sum(), leaf)
        gradients.append(gradient)
    seconds = (_now(logits.device) - start) / samples
    return torch.cat(gradients), evaluations / (samples * distribution.batch_shape.numel()), seconds


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()


def _moments(draws: Tensor, truth: Tensor, rescale: bool) -> dict[str, float]:
    """The fields of a row that compare draws `(samples, entries)` with the exact gradient."""
    samples, mean = len(draws), draws.mean(0)
    rescale = rescale and bool(mean.any())
    if rescale:
        scale = torch.linalg.vector_norm(truth) / torch.linalg.vector_norm(mean)
        draws, mean = scale * draws, scale * mean
    centred, bias = draws - mean, mean - truth
    variance = centred.square().sum() / (samples - 1)
    if rescale:  # the norm of the mean is fixed, so it has no noise along its direction
        direction = mean / torch.linalg.vector_norm(mean)
        centred = centred - (centred @ direction).unsqueeze(-1) * direction
    # The error e of the mean has the covariance C / n. The variance of |bias + e|^2 is then
    # 4 bias C bias / n + 2 tr(C^2) / n^2. With C = X^T X / (n - 1), tr(C^2) (n - 1)^2 is the
    # squared norm of X^T X or X X^T, whichever is smaller.
    noise = centred.square().sum() / (samples - 1) / samples
    along = (centred @ bias).square().sum() / (samples - 1)
    gram = centred.mT @ centred if draws.shape[1] < samples else centred @ centred.mT
    trace = gram.square().sum() / (samples - 1) ** 2
    cosine = functools.partial(torch.cosine_similarity, dim=-1, eps=TINY)
    statistics = {
        "bias_squared": bias.square().sum() - noise,
        "bias_squared_stderr": (4 * along / samples + 2 * trace / samples**2).sqrt(),
        "variance": variance,
        "mean_squared_error": (draws - truth).square().sum(-1).mean(),
        "cosine_of_mean": cosine(mean, truth),
        "mean_cosine": cosine(draws, truth).mean(),
    }
    return {name: statistic.item() for name, statistic in statistics.items()}
