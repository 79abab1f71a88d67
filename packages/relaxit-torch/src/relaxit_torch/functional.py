"""Relaxed samples as functions of logits, for code that needs neither densities nor distributions.

`temperature` is a number or a tensor that broadcasts against `logits`. `logits` are unnormalised
log-probabilities; -inf is a category that is never chosen. The result has the shape and dtype of
`logits`. Half precision is computed in float32.

Each function raises TypeError for logits that are not floating-point, and ValueError for a number
as temperature that is not positive and finite. The values of tensors are not checked.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core.parameters import Parameter, check_count
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import argmax, one_hot
from relaxit_torch.numerics.temperature import tempered


def gumbel_softmax(
    logits: Tensor, temperature: Parameter = 1.0, hard: bool = False, dim: int = -1
) -> Tensor:
    r"""A sample of Gumbel-Softmax: a replacement for `torch.nn.functional.gumbel_softmax`.

    $$c = \operatorname{softmax}\left(\frac{\log \pi + g}{\tau}\right), \qquad
      g_k \sim \mathrm{Gumbel}(0, 1) \text{ independent.}$$

    The arguments are torch's, except that `tau` is named `temperature`, and `eps`, which torch
    ignores, is missing. Unlike torch's function it has no NaN and no ties in half precision; the
    tails of its noise are not cut off; hard samples are exactly 0 or 1 and decided before the
    softmax rounds; and `logits = -inf` gives no NaN in any gradient.

    `GumbelSoftmax` is the distribution, with a density.

    Gradient: pathwise. With `hard=True`, the gradient of the relaxed sample (straight-through,
    biased).

    Args:
        logits: $\log \pi$.
        temperature: $\tau > 0$.
        hard: Whether to return one-hot vectors.
        dim: The dimension of the categories.

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

    The entries of $c$ sum to $k$. As $\tau$ goes to 0, $c$ becomes the indicator of the `k` largest
    $\log \pi + g$: categories drawn without replacement in proportion to $\pi$ (Plackett-Luce). At
    a positive temperature an entry may exceed 1, because a mask hides a category only in part.

    `GumbelSoftmaxTopK` uses hard masks: its rows have a density, but jump where an earlier argmax
    changes. This function is smooth in the noise, and has no tractable density.

    Gradient: pathwise, unbiased for the relaxed objective. Its bias against the discrete objective
    vanishes with the temperature.

    Args:
        logits: $\log \pi$. At least `k` must be finite, which is not checked.
        k: The number of categories to draw.
        temperature: $\tau > 0$.
        dim: The dimension of the categories.

    Raises:
        ValueError: `k` is not an integer from 1 to the number of categories.

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
    """The relaxed indicator of the `k` largest `scores`."""
    khot = torch.zeros_like(scores)
    for row in range(k):
        top = argmax(scores, dim)
        # Differences from the largest score keep their digits at any temperature.
        scores = scores - scores.gather(dim, top)
        exponents = _divided(scores, temperature)
        share = torch.softmax(exponents, dim)
        khot = khot + share
        if row < k - 1:
            # log(1 - share). The largest share may round to 1, so its log-odds are used.
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
    """`tempered` scores, after a number was checked."""
    if not isinstance(temperature, Tensor) and not 0 < temperature < math.inf:
        raise ValueError(f"temperature must be positive and finite, but got {temperature}")
    return tempered(scores, temperature)
