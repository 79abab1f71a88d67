"""Draws of estimators, and the moments that compare them with the exact gradient."""

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
from relaxit_torch.diagnostics.table import GradientReport, GradientRow
from relaxit_torch.estimators import exact
from relaxit_torch.estimators.discrete import DiscreteVariable, Function

Estimator = Callable[..., Tensor]

TEMPERATURES = ("temperature", "backward_temperature")
"""The names of the option over which an estimator may be a curve."""

TINY = 1e-300
"""A length below which a vector has no direction: its cosine is 0."""


def gradient_report(
    estimators: Iterable[Estimator] | Mapping[str, Estimator],
    distribution: Distribution,
    f: Function,
    *,
    samples: int = 1000,
    temperatures: Sequence[float] | None = None,
    exact_gradient: Tensor | None = None,
    rescale: bool = False,
    chunk_size: int | None = None,
) -> GradientReport:
    """Measures estimators against the exact gradient with respect to the logits.

    Args:
        estimators: of `relaxit_torch.estimators`, or anything that is called as these are. With
            options: `functools.partial(gumbel_rao, samples=100)`. A mapping gives names; otherwise
            they are those of the functions, with the options that are not temperatures.
        distribution: see `relaxit_torch.estimators`; its logits need not require a gradient.
        f: likewise. Its own parameters get no gradient.
        samples: draws of each estimator, at least 2.
        temperatures: a row for each, of estimators that have a `temperature` (or
            `backward_temperature`) which no `partial` has fixed.
        exact_gradient: of the sum of `f` over the batch, of the shape of the logits; by default
            that of `exact`.
        rescale: whether each estimator is multiplied by the number that gives its mean the length
            of the exact gradient. Then only directions are compared, as an optimiser does that
            adapts its step (Hooper, Shekhovtsov 2026). A mean of 0 stays 0.
        chunk_size: how many draws are made at a time; all by default.

    Returns:
        The rows, in the order of the estimators and temperatures.

    Raises:
        TypeError, ValueError: what an estimator raises; see `relaxit_torch.estimators`.
        ValueError: no temperatures, fewer than 2 samples, a chunk that is no positive integer,
            estimators of the same name, an exact gradient of another shape, or, without one, too
            many states for `exact`.

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
    """
    if temperatures is not None and not len(temperatures):
        raise ValueError("temperatures must be numbers or None, but got none")
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
    """Name, temperature and function of each row."""
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
    """That of the function, with the options that are not temperatures."""
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
    """A distribution of the same kind, whose batch has the additional dimensions of the logits."""
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
    f: Function,
    samples: int,
    chunk: int,
) -> tuple[Tensor, float, float]:
    """Gradients `(samples, *logits.shape)`, evaluations of `f` and seconds for each draw."""
    evaluations, gradients = 0, []

    def counted(value: Tensor) -> Tensor:
        nonlocal evaluations
        found = f(value)
        evaluations += found.numel() if isinstance(found, Tensor) else 0
        return found

    start = _now(logits.device)
    for first in range(0, samples, chunk):
        size = min(chunk, samples - first)
        # Every draw has logits of its own, so that each has its own gradient.
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
    if rescale:  # along the mean, whose length is given, it has no noise
        direction = mean / torch.linalg.vector_norm(mean)
        centred = centred - (centred @ direction).unsqueeze(-1) * direction
    # The variance of |bias + e|^2, where the error e of the mean has the covariance C / n, is
    # 4 bias C bias / n + 2 tr(C^2) / n^2. With C = X^T X / (n - 1) that trace is the squared norm
    # of the smaller one of X^T X and X X^T.
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
