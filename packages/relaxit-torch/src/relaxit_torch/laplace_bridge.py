r"""The Laplace bridge between Dirichlet and logistic-normal distributions.

Take the Laplace approximation of a Dirichlet distribution after a change of variables to
log-probabilities. It is a normal distribution with mean and covariance matrix

$$\mu_k = \log a_k - \frac{1}{K} \sum_l \log a_l, \qquad \Sigma = P \operatorname{diag}(1 / a) P,
  \qquad P = I - 1 1^T / K,$$

and the way back is

$$a_k = \frac{1}{\Sigma_{kk}} \left( 1 - \frac{2}{K}
  + \frac{e^{\mu_k}}{K^2} \sum_l e^{-\mu_l} \right).$$

A softmax ignores the direction that $P$ removes. So $\Sigma$ and the diagonal matrix of the
variances $1 / a_k$ give the same logistic-normal distribution, and both ways take time and memory
of order $K$. From a Dirichlet distribution and back is the identity. From a logistic-normal
distribution and back is an approximation, unless it came from a Dirichlet distribution.

Half precision is computed in float32. `validate_args` says whether the values of tensors are
checked; the default is torch's.

References:
    MacKay (1998); Hobbhahn, Kristiadi, Hennig (2022).
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.distributions import Dirichlet, Distribution

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.distributions.logistic_normal_softmax import LogisticNormalSoftmax


def to_logistic_normal(dirichlet: Dirichlet) -> LogisticNormalSoftmax:
    """The logistic-normal distribution of a Dirichlet distribution, with independent scales.

    Raises:
        TypeError: `dirichlet` is another distribution.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> dirichlet = torch.distributions.Dirichlet(torch.tensor([1.0, 4.0, 16.0]))
        >>> rt.laplace_bridge.to_logistic_normal(dirichlet).scale
        tensor([1.0000, 0.5000, 0.2500])
    """
    if not isinstance(dirichlet, Dirichlet):
        raise TypeError(f"dirichlet must be a Dirichlet distribution, but got {dirichlet!r}")
    concentration = dirichlet.concentration
    return LogisticNormalSoftmax(
        loc=_centred_log(concentration),
        scale=_raised(concentration).rsqrt().to(concentration.dtype),
        validate_args=dirichlet._validate_args,
    )


def to_dirichlet(logistic_normal: LogisticNormalSoftmax) -> Dirichlet:
    """The Dirichlet distribution of a logistic-normal distribution.

    Raises:
        TypeError: `logistic_normal` is another distribution.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> normal = rt.LogisticNormalSoftmax(torch.zeros(3), scale=torch.full((3,), 0.5))
        >>> rt.laplace_bridge.to_dirichlet(normal).concentration
        tensor([4.0000, 4.0000, 4.0000])
    """
    if not isinstance(logistic_normal, LogisticNormalSoftmax):
        raise TypeError(
            f"logistic_normal must be a LogisticNormalSoftmax, but got {logistic_normal!r}"
        )
    working = logistic_normal._in_float32()
    concentration = _concentration(working.projected_mean, working.projected_variance)
    return Dirichlet(
        concentration.to(logistic_normal.dtype), validate_args=logistic_normal._validate_args
    )


def gaussian_from_concentration(
    concentration: Tensor, *, validate_args: bool | None = None
) -> tuple[Tensor, Tensor]:
    r"""$\mu$ and $\Sigma$ of a Dirichlet distribution.

    Args:
        concentration: $a$, positive, `(*batch, K)`.
        validate_args: See `relaxit_torch.laplace_bridge`.

    Returns:
        $\mu$, `(*batch, K)`, and $\Sigma$, `(*batch, K, K)`, of rank K - 1. For many categories
        use `to_logistic_normal`, which forms no matrix.

    Raises:
        ValueError: `concentration` is not positive and finite.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> rt.laplace_bridge.gaussian_from_concentration(torch.tensor([2.0, 2.0]))
        (tensor([0., 0.]), tensor([[ 0.2500, -0.2500],
                [-0.2500,  0.2500]]))
    """
    if _wanted(validate_args):
        check("concentration", concentration, constraints.positive_vector)
    variance = _raised(concentration).reciprocal()
    size = concentration.shape[-1]
    pairs = variance[..., :, None] + variance[..., None, :]
    mean = variance.mean(-1)[..., None, None]
    covariance = variance.diag_embed() - (pairs - mean) / size
    return _centred_log(concentration), covariance.to(concentration.dtype)


def concentration_from_gaussian(
    mu: Tensor, variance: Tensor, *, validate_args: bool | None = None
) -> Tensor:
    r"""The concentration $a$ of a Dirichlet distribution from $\mu$ and the diagonal of $\Sigma$.

    Args:
        mu: $\mu$, finite, `(*batch, K)`. Adding a constant to all entries changes nothing.
        variance: The diagonal of $\Sigma$, positive, `(*batch, K)`. It must be projected already,
            like `LogisticNormalSoftmax.projected_variance`.
        validate_args: See `relaxit_torch.laplace_bridge`.

    Raises:
        ValueError: `mu` is not finite, `variance` is not positive and finite, or their last
            dimensions differ.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> mu, covariance = rt.laplace_bridge.gaussian_from_concentration(torch.tensor([1.0, 4.0]))
        >>> rt.laplace_bridge.concentration_from_gaussian(mu, covariance.diagonal())
        tensor([1., 4.])
    """
    if mu.shape[-1:] != variance.shape[-1:]:
        raise ValueError(
            f"mu and variance must have the same last dimension, but got shapes {tuple(mu.shape)} "
            f"and {tuple(variance.shape)}"
        )
    if _wanted(validate_args):
        check("mu", mu, constraints.real_vector)
        check("variance", variance, constraints.positive_vector)
    dtype = torch.promote_types(mu.dtype, variance.dtype)
    return _concentration(_raised(mu), _raised(variance)).to(dtype)


def _concentration(mu: Tensor, variance: Tensor) -> Tensor:
    size = mu.shape[-1]
    # exp(mu) and the sum may overflow, but their product is moderate.
    log_ratio = mu + torch.logsumexp(-mu, -1, keepdim=True) - 2 * math.log(size)
    return (1 - 2 / size + log_ratio.exp()) / variance


def _centred_log(concentration: Tensor) -> Tensor:
    log = _raised(concentration).log()
    return (log - log.mean(-1, keepdim=True)).to(concentration.dtype)


def _raised(tensor: Tensor) -> Tensor:
    """At least float32."""
    return tensor.to(torch.promote_types(tensor.dtype, torch.float32))


def _wanted(validate_args: bool | None) -> bool:
    return Distribution._validate_args if validate_args is None else validate_args
