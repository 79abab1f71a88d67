"""The regions in which parameters and values lie, each with the words for an error message.

`torch.distributions.constraints` has most of them, but its `positive` accepts infinity, its
`real_vector` accepts rows without a finite entry, and its `simplex` rejects a fifth of all float32
softmax rows of 100,000 categories. `transform_to` works on all that are continuous, and `biject_to`
on all of these but correlation matrices.
"""

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.distributions import (
    ComposeTransform,
    Transform,
    biject_to,
    constraints,
    transform_to,
)


class Region(constraints.Constraint):
    """A constraint in words, with the torch constraint whose transform reaches the same region."""

    words: str

    def __repr__(self) -> str:
        return self.words

    def check(self, value: Tensor) -> Tensor:
        raise NotImplementedError

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        """What must hold, in words, and where it does: of each event, or of each of its entries."""
        yield self.words, self.check(value)


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


class _Count(Region):
    words = "an integer of at least 1"
    is_discrete = True

    def check(self, value: Tensor) -> Tensor:
        return (value >= 1) & (value == value.floor()) & torch.isfinite(value)


class _Positive(Region):
    words = "positive and finite"
    like = constraints.positive

    def check(self, value: Tensor) -> Tensor:
        return (value > 0) & torch.isfinite(value)


class _NonNegative(Region):
    words = "non-negative and finite"
    like = constraints.nonnegative

    def check(self, value: Tensor) -> Tensor:
        return (value >= 0) & torch.isfinite(value)


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


class CategoryLogits(Region):
    """Rows of numbers, at least `least` of them finite and the others -inf."""

    like = constraints.real_vector
    event_dim = 1

    def __init__(self, least: int = 1) -> None:
        self.least = least
        finite = "a finite entry" if least == 1 else f"at least {least} finite entries"
        self.words = f"finite or -inf, with {finite} in each row"

    def check(self, value: Tensor) -> Tensor:
        return (value < torch.inf).all(-1) & (torch.isfinite(value).sum(-1) >= self.least)


class Simplex(Region):
    """Probabilities of categories, of which at least `least` are possible."""

    like = constraints.simplex
    event_dim = 1

    def __init__(self, least: int = 1) -> None:
        self.least = least
        positive = f", of at least {least} positive entries" if least > 1 else ""
        self.words = f"non-negative with a sum of 1{positive}"

    def check(self, value: Tensor) -> Tensor:
        total = value.sum(-1, dtype=torch.promote_types(value.dtype, torch.float32))
        enough = (value > 0).sum(-1) >= self.least
        return (value >= 0).all(-1) & ((total - 1).abs() <= _rounding_of_a_sum(value)) & enough


class Subset(Region):
    """`size` of the entries are 1, and the others 0."""

    is_discrete = True
    event_dim = 1

    def __init__(self, size: int) -> None:
        self.size = size
        self.words = f"{size} ones among zeros"

    def check(self, value: Tensor) -> Tensor:
        return boolean.check(value).all(-1) & (value.sum(-1) == self.size)


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


class Independent(Region):
    """Vectors whose entries lie in another region, or arrays whose rows do."""

    like: Any = constraints.dependent  # that of each entry

    def __init__(self, of: Region) -> None:
        self.of = of
        self.words = f"{of.words} in every {'row' if of.event_dim else 'entry'}"
        self.event_dim = of.event_dim + 1
        self.is_discrete = of.is_discrete
        if hasattr(of, "like"):
            self.like = constraints.independent(of.like, 1)

    def check(self, value: Tensor) -> Tensor:
        return self.of.check(value).all(-1)

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield self.words, self.of.check(value)


class _Arrangement(Region):
    words = "one 1 among zeros in every row, in no column twice"
    is_discrete = True
    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        return one_hot.check(value).all(-1) & (value.sum(-2) <= 1).all(-1)


class _Matrix(Region):
    """Square matrices, of which several things must hold."""

    event_dim = 2

    def check(self, value: Tensor) -> Tensor:
        valid = torch.ones(value.shape[:-2], dtype=torch.bool, device=value.device)
        for _, held in self.parts(value):
            while held.dim() > valid.dim():
                held = held.all(-1)
            valid = valid & held
        return valid


class _LowerCholesky(_Matrix):
    words = "lower triangular with a positive diagonal"
    like = constraints.lower_cholesky

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield "finite", value.isfinite()
        yield "lower triangular", value.tril() == value
        yield "of positive diagonal", _off_diagonal(value) | (value > 0)


class _CorrelationCholesky(_Matrix):
    words = "lower triangular with a positive diagonal and rows of length 1"
    like = constraints.corr_cholesky

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield from lower_cholesky.parts(value)
        wide = value.to(torch.promote_types(value.dtype, torch.float32))
        length = wide.square().sum(-1)
        yield "of rows of length 1", (length - 1).abs() <= 2 * _rounding_of_a_sum(value)


class _Covariance(_Matrix):
    words = "symmetric and positive definite"
    like = constraints.positive_definite

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        yield "finite", value.isfinite()
        size = value.abs().amax((-2, -1), keepdim=True)
        yield "symmetric", (value - value.mT).abs() <= size * _rounding_of_a_sum(value)
        wide = value.to(torch.promote_types(value.dtype, torch.float32))
        yield "positive definite", torch.linalg.cholesky_ex(wide).info == 0


class _Correlation(_Matrix):
    words = "symmetric with a unit diagonal and positive definite"

    def parts(self, value: Tensor) -> Iterator[tuple[str, Tensor]]:
        *others, definite = covariance.parts(value)
        yield from others
        near = (value - 1).abs() <= _rounding_of_a_sum(value)
        yield "of unit diagonal", _off_diagonal(value) | near
        yield definite


def _off_diagonal(value: Tensor) -> Tensor:
    return ~torch.eye(value.shape[-1], dtype=torch.bool, device=value.device)


class _Gram(Transform):
    """`L L^T`, of a Cholesky factor of a correlation matrix."""

    domain = _CorrelationCholesky()
    codomain = _Correlation()
    bijective = True

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Gram)

    __hash__ = Transform.__hash__

    def _call(self, x: Tensor) -> Tensor:
        return x @ x.mT

    def _inverse(self, y: Tensor) -> Tensor:
        return torch.linalg.cholesky(y)


boolean = _Boolean()
count = _Count()
one_hot = _OneHot()
positive = _Positive()
non_negative = _NonNegative()
negative = _Negative()
above_one = _AboveOne()
real = _Real()
open_unit_interval = _OpenUnitInterval()
unit_interval = _UnitInterval()
category_logits = CategoryLogits()
simplex = Simplex()
log_simplex = _LogSimplex()
lower_cholesky = _LowerCholesky()
correlation_cholesky = _CorrelationCholesky()
covariance = _Covariance()
correlation = _Correlation()
arrangement = _Arrangement()
real_vector = Independent(real)
positive_vector = Independent(positive)
boolean_vector = Independent(boolean)
open_unit_cube = Independent(open_unit_interval)
unit_cube = Independent(unit_interval)
simplex_rows = Independent(simplex)


def check(name: str, value: float | Tensor, region: Region) -> None:
    """Raises ValueError with the first entry of `value` that lies outside `region`.

    Values that cannot be looked at pass: in compiled and traced code, under `torch.func.vmap`, and
    on the meta device.
    """
    # A number is shown as it was given, not as float32 rounds it, and is checked on the CPU,
    # whatever the default device is.
    if not isinstance(value, Tensor):
        value = torch.tensor(value, dtype=torch.float64, device="cpu")
    elif not _is_visible(value):
        return
    if region.check(value).all():
        return
    words, valid = next((w, v) for w, v in region.parts(value) if not v.all())
    index = tuple((~valid).nonzero()[0].tolist())
    entry: Any = value[index].tolist()
    if isinstance(entry, list) and len(entry) > 8:
        entry = f"[{', '.join(map(str, entry[:8]))}, ...]"
    place = f" at index {index}" if index else ""
    raise ValueError(f"{name} must be {words}, but got {entry}{place}")


def _is_visible(value: Tensor) -> bool:
    """Whether code may branch on the entries of a tensor."""
    if torch.compiler.is_compiling() or torch._C._is_tracing() or value.is_meta:
        return False
    while torch._C._functorch.is_functorch_wrapped_tensor(value):
        if torch._C._functorch.is_batchedtensor(value):
            return False
        value = torch._C._functorch.get_unwrapped(value)
    return True


for _registry in (transform_to, biject_to):
    for _region in (Independent, *Region.__subclasses__(), *_Matrix.__subclasses__()):
        if not hasattr(_region, "like"):
            continue
        _registry.register(_region, lambda region, registry=_registry: registry(region.like))
    _registry.register(_LogSimplex, lambda region: _LogSoftmax())
transform_to.register(
    _Correlation,
    lambda region: ComposeTransform([transform_to(correlation_cholesky), _Gram()]),
)
