"""The regions in which parameters and values live, each with the words for an error message.

`torch.distributions.constraints` has most of them, but its `positive` accepts infinity, its
`real_vector` accepts rows without a finite entry, and its `simplex` rejects a fifth of all float32
softmax rows of 100,000 categories. `transform_to` and `biject_to` work on all that are continuous.
"""

import math

import torch
from torch import Tensor
from torch.distributions import Transform, biject_to, constraints, transform_to


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


class _Negative(Region):
    words = "negative and finite"
    like = constraints.less_than(0.0)

    def check(self, value: Tensor) -> Tensor:
        return (value < 0) & torch.isfinite(value)


class _AboveOne(Region):
    words = "above 1 and finite"
    like = constraints.greater_than(1.0)

    def check(self, value: Tensor) -> Tensor:
        return (value > 1) & torch.isfinite(value)


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
    event_dim = 1

    def check(self, value: Tensor) -> Tensor:
        total = value.to(torch.promote_types(value.dtype, torch.float32)).exp().sum(-1)
        rounding = _rounding_of_a_sum(value)
        return (value <= rounding).all(-1) & ((total - 1).abs() <= rounding)


def _rounding_of_a_sum(value: Tensor) -> float:
    # Each of the K entries is rounded to half an ulp, the normaliser that divided them is a sum of
    # K rounded terms (a random walk of sqrt(K) half ulps), and so is the sum that is compared.
    # At least 1e-6, torch's own tolerance: rows normalised in float32 may come as float64.
    return max(1e-6, torch.finfo(value.dtype).eps * (2 + math.sqrt(value.shape[-1])))


class _LogSoftmax(Transform):
    """`log_softmax` of K - 1 coordinates and a 0: `y_k - y_K`, whose measure is the base."""

    domain = constraints.real_vector
    codomain = _LogSimplex()
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _LogSoftmax)

    __hash__ = Transform.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return torch.log_softmax(torch.nn.functional.pad(x, (0, 1)), -1)

    def _inverse(self, y: Tensor) -> Tensor:
        return y[..., :-1] - y[..., -1:]

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x.new_zeros(x.shape[:-1])

    def forward_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] + 1))

    def inverse_shape(self, shape: torch.Size) -> torch.Size:
        return torch.Size((*shape[:-1], shape[-1] - 1))


boolean = _Boolean()
one_hot = _OneHot()
positive = _Positive()
negative = _Negative()
above_one = _AboveOne()
real = _Real()
open_unit_interval = _OpenUnitInterval()
unit_interval = _UnitInterval()
category_logits = _CategoryLogits()
simplex = _Simplex()
log_simplex = _LogSimplex()

for _registry in (transform_to, biject_to):
    for _region in Region.__subclasses__():
        _registry.register(_region, lambda region, registry=_registry: registry(region.like))
    _registry.register(_LogSimplex, lambda region: _LogSoftmax())
