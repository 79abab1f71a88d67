r"""The Concrete distribution, which the classes of bits and of categories share.

A perturbed logit divided by a temperature is a *score*, `(logits + noise) / temperature`. A sigmoid
of one score is a relaxed bit, a softmax of `K` scores a relaxed category. Maddison, Mnih, Teh (2017)
give the densities (equations 10, 26 and 29).

A `temperature` is a number or a tensor.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import softplus, threshold

from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics.kernels import log_interior, log_logistic_density
from relaxit_torch.numerics.special import below_one, log

# -- bits -----------------------------------------------------------------------------------------


def bit_noise(
    value: Tensor, logits: Tensor, temperature: Parameter, dtype: torch.dtype
) -> tuple[Tensor, Tensor]:
    """The logistic noise of a relaxed bit, and `log value + log(1 - value)`.

    0 and 1 count as the numbers of `dtype` next to them. All shapes are the value's.
    """
    value = below_one(value, dtype)
    log_value, log_rest = log_interior(value, dtype), torch.log1p(-value)
    return temperature * (log_value - log_rest) - logits, log_value + log_rest


def bit_log_density(noise: Tensor, log_slope: Tensor, temperature: Parameter) -> Tensor:
    """The log density of a relaxed bit at its noise, where `log_slope` is `log c + log(1 - c)`."""
    return log(temperature) + log_logistic_density(noise) - log_slope


def kl_of_logistic(difference: Tensor) -> Tensor:
    """KL of two logistic distributions of one scale: `d coth(d / 2) - 2` for log-odds `d` apart."""
    # Each branch sees only arguments of its own: the derivative of a bound would be lost.
    size = difference.abs()
    near = torch.where(size < 0.5, difference, 0).square()
    # Bernoulli numbers: 2 B_2n / (2n)!, up to the term that is below an ulp at 1/2.
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
    far = torch.where(size < 0.5, 1, size)
    decay = torch.exp(-far)
    return torch.where(size < 0.5, series, far * (1 + decay) / (1 - decay) - 2)


# -- categories -----------------------------------------------------------------------------------


def log_density(
    log_value: Tensor,
    logits: Tensor,
    temperature: Parameter,
    log_slope: Tensor | None = None,
    *,
    present: Tensor | None = None,
) -> Tensor:
    r"""The log density of `K` functions of $y$ (Maddison et al., equation 26).

    $$\log \Gamma(K) + (K - 1) \log \tau + \sum_k (t_k - s_k) - K \log \sum_k e^{t_k},
      \qquad t = \log \pi - \tau y.$$

    Args:
        log_value: $y$, the logarithms of a relaxed category, `(*shape, K)`; finite everywhere.
        logits: $\log \pi$, -inf for an impossible category, which the density leaves out.
        temperature: a number or a tensor `(*batch)`.
        log_slope: $s$, the logarithms of the slopes of these functions; 0 by default.
        present: where the category has a positive weight. The density is 0 if an impossible one has.
    """
    if isinstance(temperature, Tensor):
        log_temperature: Parameter = temperature.log()
        t = logits - temperature.unsqueeze(-1) * log_value
    else:  # in one pass
        log_temperature = math.log(temperature)
        t = torch.sub(logits, log_value, alpha=temperature)
    possible = logits > -torch.inf
    count = possible.sum(-1).to(log_value.dtype)
    terms = t if log_slope is None else t - log_slope
    # `threshold` puts 0 in place of -inf in a third of the time of a `where` on a CPU.
    density = torch.lgamma(count) + (count - 1) * log_temperature - count * t.logsumexp(-1)
    density = density + threshold(terms, -torch.inf, 0.0).sum(-1)
    if present is not None:
        density = density.masked_fill((present & ~possible).any(-1), -torch.inf)
    return density


def log_density_from_noise(
    noise: Tensor, logits: Tensor, temperature: Parameter, log_slope: Tensor | None = None
) -> Tensor:
    """`log_density` of the value that `noise` gives, without the rounding of the value.

    For this value, `logits - temperature * log_value` is `-noise` plus a constant in each row. The
    density does not depend on the constant. `temperature` is a number or a tensor `(*batch)`.
    """
    possible = logits > -torch.inf
    level = torch.zeros_like(logits).masked_fill(~possible, -torch.inf)
    if log_slope is not None:  # -inf too, and their difference would be NaN
        log_slope = log_slope.masked_fill(~possible, 0)
    stretch = (possible.sum(-1) - 1).to(noise.dtype) * log(temperature)
    return log_density(noise, level, 1.0, log_slope) + stretch


def kl_of_categories(p_logits: Tensor, q_logits: Tensor) -> Tensor:
    """KL of two relaxed categories with equal temperatures, which cancel: `(*batch)`.

    `sum_k log(pi_k / rho_k) + K (I - psi(K))`, with `I = E log sum_k (rho_k / pi_k) E_k` over
    exponential `E_k`: an integral over the real line of a smooth function that the trapezoidal rule
    integrates to rounding. Memory: some 400 times the logits.
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
    product = torch.exp(-softplus(shifted + x).sum(-1))
    integral = step * (torch.exp(-torch.exp(x.squeeze(-1))) - product).sum(0)
    count = possible.sum(-1).to(p_logits.dtype)
    ratios = torch.where(possible, log_ratio, 0).sum(-1)
    divergence = count * (shift.squeeze(-1) + integral - torch.digamma(count)) - ratios
    return torch.where(comparable, divergence, math.inf)
