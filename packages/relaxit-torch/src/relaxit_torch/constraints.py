"""The regions in which parameters and values live, each with the words for an error message.

`torch.distributions.constraints` has most of them, but its `positive` accepts infinity, its
`real_vector` accepts rows without a finite entry, and its `simplex` rejects a fifth of all float32
softmax rows of 100,000 categories. `transform_to` and `biject_to` work on all that are continuous.
"""

import math

import torch
from torch import Tensor
from torch.distributions import biject_to, constraints, transform_to


class Region(constraints.Constraint):
    """A constraint in words, with the torch constraint whose transform reaches the same region."""

    words: str
    like: constraints.Constraint

    def __repr__(self) -> str:
        return self.words


class _Boolean(Region):
    words = "0 or 1"
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value == 0) | (value == 1)


class _OneHot(Region):
    words = "one 1 among zeros"
    is_discrete = True
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return boolean.check(value).all(-1) & (value.sum(-1) == 1)


class _Positive(Region):
    words = "positive and finite"
    like = constraints.positive

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & torch.isfinite(value)


class _Real(Region):
    words = "finite"
    like = constraints.real

    def check(self, value: Tensor) -> Tensor:
        return torch.isfinite(value)


class _OpenUnitInterval(Region):
    words = "in the open interval (0, 1)"
    like = constraints.unit_interval

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & (value < 1)


class _UnitInterval(Region):
    """The support (0, 1), with the end points that rounding may reach."""

    words = "in the interval [0, 1]"
    like = constraints.unit_interval

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & (value <= 1)


class _CategoryLogits(Region):
    words = "finite or -inf, with a finite entry in each row"
    like = constraints.real_vector
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        return (value < torch.inf).all(-1) & torch.isfinite(value).any(-1)


class _Simplex(Region):
    words = "non-negative with a sum of 1"
    like = constraints.simplex
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        total = value.sum(-1, dtype=torch.promote_types(value.dtype, torch.float32))
        return (value >= 0).all(-1) & ((total - 1).abs() <= _rounding_of_a_sum(value))


class _LogSimplex(Region):
    """Logarithms of the points of a simplex: `logsumexp(value) = 0`; -inf is the logarithm of 0."""

    words = "logarithms that are at most 0 and whose exponentials have a sum of 1"
    like = constraints.real_vector
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        total = value.to(torch.promote_types(value.dtype, torch.float32)).exp().sum(-1)
        rounding = _rounding_of_a_sum(value)
        return (value <= rounding).all(-1) & ((total - 1).abs() <= rounding)


def _rounding_of_a_sum(value: Tensor) -> float:
    # Each of the K entries is rounded to half an ulp, the normaliser that divided them is a sum of
    # K rounded terms (a random walk of sqrt(K) half ulps), and so is the sum that is compared.
    return torch.finfo(value.dtype).eps * (2 + math.sqrt(value.shape[-1]))


boolean = _Boolean()
one_hot = _OneHot()
positive = _Positive()
real = _Real()
open_unit_interval = _OpenUnitInterval()
unit_interval = _UnitInterval()
category_logits = _CategoryLogits()
simplex = _Simplex()
log_simplex = _LogSimplex()

for _region in (
    positive, real, open_unit_interval, unit_interval, category_logits, simplex, log_simplex
):  # fmt: skip
    transform_to.register(_region, lambda region: transform_to(region.like))
    biject_to.register(_region, lambda region: biject_to(region.like))
