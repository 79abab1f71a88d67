"""Relaxed samples as functions of logits, for code that needs no density and no distribution."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core.parameters import Parameter, check_count
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import argmax, one_hot


def gumbel_softmax(
    logits: Tensor, temperature: Parameter = 1.0, hard: bool = False, dim: int = -1
) -> Tensor:
    r"""A sample of Gumbel-Softmax, as `torch.nn.functional.gumbel_softmax` draws it.

    $$c = \operatorname{softmax}\left(\frac{\log \pi + g}{\tau}\right), \qquad
      g_k \sim \mathrm{Gumbel}(0, 1) \text{ independent.}$$

    Calls of torch's function mean the same here, with `tau` named `temperature` and without its
    `eps`, which has no effect there. Unlike that one it is exact in float16 and bfloat16, whose
    noise and arithmetic are float32: no NaN, no ties, hard samples of exactly 0 and 1. The tails of
    its noise are not cut off, hard samples are decided before the softmax rounds, and an impossible
    category (`logits = -inf`) gives no NaN in a gradient, that of the temperature included.

    `GumbelSoftmax` is the distribution, with a density.

    Gradient: pathwise; with `hard=True` that of the relaxed sample (straight-through, biased).

    Args:
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen.
        temperature: $\tau > 0$, a number or a tensor that broadcasts against `logits`; the values
            of a tensor are not checked.
        hard: return one-hot vectors.
        dim: the dimension of the categories.

    Returns:
        A tensor like `logits`.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.tensor([[0.0, 1.0, -torch.inf]], dtype=torch.float16)
        >>> choice = rt.functional.gumbel_softmax(logits.expand(1000, 3), 0.1, hard=True)
        >>> bool((choice.sum(-1) == 1).all()), choice[:, 2].sum().item()
        (True, 0.0)

    References:
        Jang, Gu, Poole (2017), Categorical Reparameterization with Gumbel-Softmax.
    """
    scores = _divided(_perturbed(logits), temperature)
    value = one_hot(scores, dim) if hard else torch.softmax(scores, dim)
    return value.to(logits.dtype)


def relaxed_top_k(logits: Tensor, k: int, temperature: Parameter = 1.0, *, dim: int = -1) -> Tensor:
    r"""A relaxed k-hot vector: `k` categories drawn without replacement, by soft masks.

    With independent $g_i \sim \mathrm{Gumbel}(0, 1)$ and $\alpha^{(1)} = \log \pi + g$,

    $$c = \sum_{j=1}^{k} p^{(j)}, \qquad
      p^{(j)} = \operatorname{softmax}\left(\frac{\alpha^{(j)}}{\tau}\right), \qquad
      \alpha^{(j+1)} = \alpha^{(j)} + \log(1 - p^{(j)}).$$

    The sum of $c$ is $k$. As $\tau$ goes to zero $c$ becomes the indicator of the `k` greatest
    $\log \pi + g$, categories drawn without replacement in proportion to $\pi$ (Plackett-Luce). At
    a positive temperature an entry may exceed 1, as what is taken is masked in part only.

    The masks of `GumbelSoftmaxTopK` are hard: its rows have a density, but jump where an earlier
    argmax changes. Here everything is a smooth function of the noise, and there is no tractable
    density.

    Gradient: pathwise, unbiased for the relaxed objective; its bias against the discrete objective
    vanishes with the temperature.

    Args:
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen. At least `k` must
            be finite, which is not checked.
        k: how many categories are drawn.
        temperature: $\tau > 0$, a number or a tensor that broadcasts against `logits`; the values
            of a tensor are not checked.
        dim: the dimension of the categories.

    Returns:
        A tensor like `logits`.

    Raises:
        ValueError: `k` is no integer from 1 to the number of categories.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> khot = rt.functional.relaxed_top_k(torch.zeros(3, 5), k=2, temperature=0.1)
        >>> khot.shape, torch.allclose(khot.sum(-1), torch.tensor(2.0))
        (torch.Size([3, 5]), True)

    References:
        Xie, Ermon (2019), Reparameterizable Subset Sampling via Continuous Relaxations.
    """
    k, categories = check_count("k", k), logits.shape[dim]
    if k > categories:
        raise ValueError(f"k must be at most the number of categories, {categories}, but got {k}")
    return _soft_top_k(_perturbed(logits), k, temperature, dim).to(logits.dtype)


def _soft_top_k(scores: Tensor, k: int, temperature: Parameter, dim: int) -> Tensor:
    """The relaxed indicator of the `k` greatest `scores`, which depends on their differences."""
    khot = torch.zeros_like(scores)
    for row in range(k):
        top = argmax(scores, dim)
        # Differences from the greatest keep their digits, however small the temperature is.
        scores = scores - scores.gather(dim, top)
        exponents = _divided(scores, temperature)
        share = torch.softmax(exponents, dim)
        khot = khot + share
        if row < k - 1:
            # log(1 - share): that of the greatest from the odds of all others, as it rounds to 1.
            log_odds = exponents.scatter(dim, top, -torch.inf).logsumexp(dim, keepdim=True)
            others = torch.log1p(-share.scatter(dim, top, 0.0))
            scores = scores + others.scatter(dim, top, logsigmoid(log_odds))
    return khot


def _perturbed(logits: Tensor) -> Tensor:
    """`logits` plus Gumbel noise, in at least float32."""
    if not logits.is_floating_point():
        raise TypeError(f"logits must be floating-point numbers, but got the dtype {logits.dtype}")
    dtype = torch.promote_types(logits.dtype, torch.float32)
    return logits.to(dtype) + noise.gumbel(logits.shape, dtype=dtype, device=logits.device)


def _divided(scores: Tensor, temperature: Parameter) -> Tensor:
    """`scores / temperature`, with -inf where scores have it and no NaN behind it."""
    if not isinstance(temperature, Tensor):
        if not 0 < temperature < math.inf:
            raise ValueError(f"temperature must be positive and finite, but got {temperature}")
        return scores / temperature
    # The derivative of (-inf) / temperature is infinite, and 0 * inf is NaN.
    possible = scores > -torch.inf
    finite = torch.where(possible, scores, 0) / temperature
    return finite.masked_fill(~possible, -torch.inf)
