"""What the Kullback-Leibler divergences of several distributions need; each is registered in the
file of its distribution.
"""

from __future__ import annotations

import functools
import math
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

from relaxit_torch.core.parameters import Parameter
from relaxit_torch.core.relaxed_distribution import RelaxedDistribution
from relaxit_torch.numerics import cholesky


@register_kl(RelaxedDistribution, RelaxedDistribution)
@register_kl(RelaxedDistribution, Distribution)
@register_kl(Distribution, RelaxedDistribution)
def of_discrete_laws(p: Any, q: Any) -> Tensor:
    """For all pairs that have no closed form of their own: that of the discrete laws where both
    are discrete, or an error that says what to do instead.
    """
    ours = [law for law in (p, q) if isinstance(law, RelaxedDistribution)]
    if not all(law.hard for law in ours):
        raise no_exact_form(p, q)
    dtype = functools.reduce(torch.promote_types, (law.dtype for law in ours))
    laws = [
        law._working.discrete if isinstance(law, RelaxedDistribution) else law for law in (p, q)
    ]
    if any(isinstance(law, RelaxedDistribution) for law in laws):
        raise no_exact_form(p, q)
    for kind, formula in ((Bernoulli, of_bernoulli), (OneHotCategorical, of_categories)):
        if len(ours) == 2 and all(isinstance(law, kind) for law in laws):
            return formula(p._working.logits, q._working.logits).to(dtype)
    divergence: Tensor = kl_divergence(*laws)
    return divergence.to(dtype)


def of_bernoulli(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two Bernoulli laws, from their log-odds. That of torch synchronises a GPU."""
    softplus = torch.nn.functional.softplus
    mean = torch.sigmoid(p_logits)
    return mean * (p_logits - q_logits) - softplus(p_logits) + softplus(q_logits)


def of_categories(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two categorical laws, `(*batch)`; infinite where q cannot choose what p can."""
    p, q = torch.log_softmax(p_logits, -1), torch.log_softmax(q_logits, -1)
    possible, contradicted = p > -torch.inf, (p > -torch.inf) & (q == -torch.inf)
    ratio = torch.where(possible & ~contradicted, p, 0) - torch.where(
        possible & ~contradicted, q, 0
    )
    divergence = (p.exp() * ratio).sum(-1)
    return torch.where(contradicted.any(-1), torch.inf, divergence)


@register_kl(Delta, RelaxedDistribution)
def _of_a_point(p: Delta, q: RelaxedDistribution) -> Tensor:
    """As Pyro has it for every distribution, which would be ambiguous here."""
    return -q.log_prob(p.v)


def no_exact_form(p: object, q: object) -> NotImplementedError:
    """The error that says what to use in place of a closed form."""
    return NotImplementedError(
        f"KL({type(p).__name__} || {type(q).__name__}) has no exact form here; estimate it as the "
        "mean of log p - log q over samples of p (rsample_and_log_prob scores them), or take that "
        "of the discrete laws: kl_divergence(p.discrete, q.discrete)"
    )


Divergence = Callable[[Any, Any], Tensor]


def exact(p_class: type, q_class: type) -> Callable[[Divergence], Divergence]:
    """Registers a closed form. The arithmetic of low precision is in float32, as elsewhere."""

    def register(function: Divergence) -> Divergence:
        @functools.wraps(function)
        def raised(p: Any, q: Any) -> Tensor:
            laws = [x for x in (p, q) if isinstance(x, RelaxedDistribution)]
            dtype = functools.reduce(torch.promote_types, (law.dtype for law in laws))
            working = (x._working if isinstance(x, RelaxedDistribution) else x for x in (p, q))
            return function(*working).to(dtype)

        register_kl(p_class, q_class)(raised)
        return function

    return register


def require_equal(name: str, first: Parameter, second: Parameter) -> None:
    """NotImplementedError unless two parameters are equal. Tensors synchronise: it is their values
    on which the exactness of a divergence depends.
    """
    same: Any = first == second
    if not bool(same.all() if isinstance(same, Tensor) else same):
        raise NotImplementedError(
            f"this KL is exact for equal {name} only; estimate it as the mean of log p - log q "
            "over samples of p (rsample_and_log_prob scores them)"
        )


def of_logistic(difference: Tensor) -> Tensor:
    """KL of two logistic laws of one scale: `d coth(d / 2) - 2`, `d` the difference of log-odds."""
    # Each branch sees only arguments of its own: the derivative of a bound would be lost.
    a = difference.abs()
    near = torch.where(a < 0.5, difference, 0).square()
    # Bernoulli numbers: 2 B_2n / (2n)!, up to the term that is below an ulp at a = 1/2.
    coefficients = (
        1 / 6,
        -1 / 360,
        1 / 15_120,
        -1 / 604_800,
        1 / 23_950_080,
        -691 / 653_837_184_000,
    )
    series = torch.zeros_like(near)
    for coefficient in reversed(coefficients):
        series = (series + coefficient) * near
    far = torch.where(a < 0.5, 1, a)
    decay = torch.exp(-far)
    return torch.where(a < 0.5, series, far * (1 + decay) / (1 - decay) - 2)


def of_normal(p_loc: Tensor, p_scale: Tensor, q_loc: Tensor, q_scale: Tensor) -> Tensor:
    """KL of two normal laws, elementwise."""
    ratio, shift = p_scale / q_scale, (p_loc - q_loc) / q_scale
    return 0.5 * (ratio.square() - 1 + shift.square()) - ratio.log()


def of_centred_normal(p_factor: Tensor, q_factor: Tensor) -> Tensor:
    """KL of two normal laws of mean 0, by the Cholesky factors of their covariances, `(*batch)`."""
    ratio = torch.linalg.solve_triangular(q_factor, p_factor, upper=False)
    log_ratio = cholesky.half_log_determinant(q_factor) - cholesky.half_log_determinant(p_factor)
    return 0.5 * (ratio.square().sum((-2, -1)) - p_factor.shape[-1]) + log_ratio


def of_concrete(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two Concrete laws at one temperature, `(*batch)`: it does not depend on it.

    `sum_k log(pi_k / rho_k) + K (I - psi(K))`, with `I = E log sum_k (rho_k / pi_k) E_k` over
    exponential `E_k`: an integral over the real line of a smooth function that the trapezoidal rule
    integrates to rounding. Memory: some 400 times that of the logits.
    """
    possible = p_logits > -torch.inf
    comparable = (possible == (q_logits > -torch.inf)).all(-1)
    log_ratio = torch.where(possible, q_logits, 0) - torch.where(possible, p_logits, 0)
    # I(rho / pi) = log m + I(rho / (pi m)): with m the largest ratio one range fits all.
    log_ratio = log_ratio.masked_fill(~possible, -torch.inf)
    shift = log_ratio.amax(-1, keepdim=True)
    shifted = (log_ratio - shift).masked_fill(~possible, -torch.inf)
    # Analytic up to pi / 2 from the real line: an error of exp(-pi^2 / step).
    step = 0.25
    x = torch.arange(-60.0, 45.0, step, dtype=p_logits.dtype, device=p_logits.device)
    x = x.reshape(-1, *(1,) * shifted.dim())
    product = torch.exp(-torch.nn.functional.softplus(shifted + x).sum(-1))
    integral = step * (torch.exp(-torch.exp(x.squeeze(-1))) - product).sum(0)
    count = possible.sum(-1).to(p_logits.dtype)
    ratios = torch.where(possible, log_ratio, 0).sum(-1)
    divergence = count * (shift.squeeze(-1) + integral - torch.digamma(count)) - ratios
    return torch.where(comparable, divergence, math.inf)
