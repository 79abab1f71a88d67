"""How Kullback-Leibler divergences are registered, each in the file of its distribution."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from pyro.distributions import Delta
from torch import Tensor
from torch.distributions import (
    Bernoulli,
    Distribution,
    OneHotCategorical,
    kl_divergence,
    register_kl,
)
from torch.nn.functional import softplus

from relaxit_torch.core.parameters import Parameter
from relaxit_torch.core.relaxed_distribution import RelaxedDistribution, is_lowered

Divergence = Callable[[Any, Any], Tensor]


def exact(p_class: type, q_class: type) -> Callable[[Divergence], Divergence]:
    """Registers a closed form between relaxed distributions of these classes.

    Hard ones are left to their discrete distributions. The arithmetic is at least float32, and
    `torch.autocast` does not lower it.
    """

    def register(function: Divergence) -> Divergence:
        @register_kl(p_class, q_class)
        def divergence(p: Any, q: Any) -> Tensor:
            ours = [x for x in (p, q) if isinstance(x, RelaxedDistribution)]
            if any(x.hard for x in ours):
                return between_discrete(p, q)
            return _evaluate(function, p, q, ours)

        return divergence

    return register


@register_kl(RelaxedDistribution, RelaxedDistribution)
@register_kl(RelaxedDistribution, Distribution)
@register_kl(Distribution, RelaxedDistribution)
def between_discrete(p: Any, q: Any) -> Tensor:
    """The divergence of the discrete distributions, of pairs without a closed form of their own.

    Raises:
        NotImplementedError: one of them is not discrete, or it is not known. It says what to do.
    """
    ours = [x for x in (p, q) if isinstance(x, RelaxedDistribution)]
    if not all(x.hard for x in ours):
        raise no_exact_form(p, q)

    def divergence(p: Any, q: Any) -> Tensor:
        pair: list[Any] = [x.discrete if isinstance(x, RelaxedDistribution) else x for x in (p, q)]
        if any(isinstance(x, RelaxedDistribution) for x in pair):
            raise no_exact_form(p, q)
        for kind, formula in ((Bernoulli, of_bernoulli), (OneHotCategorical, of_categories)):
            if len(ours) == 2 and all(isinstance(x, kind) for x in pair):
                return formula(pair[0].logits, pair[1].logits)
        found: Tensor = kl_divergence(*pair)
        return found

    return _evaluate(divergence, p, q, ours)


@register_kl(Delta, RelaxedDistribution)
def _of_a_point(p: Delta, q: RelaxedDistribution) -> Tensor:
    """As Pyro has it for every distribution, which would be ambiguous here."""
    return -q.log_prob(p.v)


def no_exact_form(p: object, q: object) -> NotImplementedError:
    """The error that says what to use in place of a closed form."""
    return NotImplementedError(
        f"KL({type(p).__name__} || {type(q).__name__}) has no exact form here; estimate it as the "
        "mean of log p - log q over samples of p (rsample_and_log_prob scores them), or take the "
        "discrete distributions: kl_divergence(p.discrete, q.discrete)"
    )


def require_equal(name: str, first: Parameter, second: Parameter) -> None:
    """NotImplementedError unless two parameters are equal.

    Tensors synchronise a GPU: whether a divergence is exact depends on their values.
    """
    same: Any = first == second
    if not bool(same.all() if isinstance(same, Tensor) else same):
        raise NotImplementedError(
            f"this KL is exact for equal {name} only; estimate it as the mean of log p - log q "
            "over samples of p (rsample_and_log_prob scores them)"
        )


def of_bernoulli(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two Bernoulli distributions, from their log-odds. Torch's own synchronises a GPU."""
    mean = torch.sigmoid(p_logits)
    return mean * (p_logits - q_logits) - softplus(p_logits) + softplus(q_logits)


def of_categories(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two categorical distributions, `(*batch)`; infinite where only p can choose one."""
    p, q = torch.log_softmax(p_logits, -1), torch.log_softmax(q_logits, -1)
    possible, contradicted = p > -torch.inf, (p > -torch.inf) & (q == -torch.inf)
    both = possible & ~contradicted
    ratio = torch.where(both, p, 0) - torch.where(both, q, 0)
    divergence = (p.exp() * ratio).sum(-1)
    return torch.where(contradicted.any(-1), torch.inf, divergence)


def _evaluate(function: Divergence, p: Any, q: Any, ours: list[RelaxedDistribution]) -> Tensor:
    if is_lowered(ours[0].device):
        with torch.autocast(ours[0].device.type, enabled=False):
            return _evaluate(function, p, q, ours)
    dtype = functools.reduce(torch.promote_types, (x.dtype for x in ours))
    raised = (x._in_float32() if isinstance(x, RelaxedDistribution) else x for x in (p, q))
    return function(*raised).to(dtype)
