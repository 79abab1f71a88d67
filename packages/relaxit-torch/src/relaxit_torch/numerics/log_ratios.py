r"""Normal vectors of which only the differences between entries count, as in a softmax.

The spread of a normal vector `x` is a factor `L` of its covariance, diagonal or lower triangular.
With $A = [I_{K-1}, -1]$ the log-ratios `A x` have the covariance $S = A L L^T A^T$, and

$$(A d)^T S^{-1} A d = \min_t |L^{-1} (d + t 1)|^2, \qquad \det S = |L|^2 |L^{-1} 1|^2:$$

no matrix but `L` is needed. A diagonal one is the vector of its standard deviations.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from relaxit_torch.numerics import cholesky
from relaxit_torch.numerics.special import complement_of_shares


@dataclass(frozen=True)
class Diagonal:
    """Independent entries of standard deviations `scale`, `(*batch, K)`."""

    scale: Tensor

    def product(self, vector: Tensor) -> Tensor:
        """`L vector`."""
        return self.scale * vector

    def solution(self, vector: Tensor) -> Tensor:
        """`L^-1 vector`."""
        return vector / self.scale

    def image_of_ones(self) -> Tensor:
        """`L^-1 1`."""
        return self.scale.reciprocal()

    def tightest(self) -> Tensor:
        """The index of the entry of least variance, `(*batch, 1)`."""
        return self.scale.argmin(-1, keepdim=True)

    def half_log_determinant(self) -> Tensor:
        """`log |L|`."""
        return self.scale.log().sum(-1)

    def matrix(self) -> Tensor:
        """`L`, `(*batch, K, K)`."""
        return self.scale.diag_embed()

    def projected_variance(self) -> Tensor:
        """The diagonal of `P L L^T P`, with `P = I - 1 1^T / K`."""
        size, variance = float(self.scale.shape[-1]), self.scale.square()
        return variance * (1 - 2 / size) + variance.mean(-1, keepdim=True) / size


@dataclass(frozen=True)
class Triangular:
    """A Cholesky factor, `(*batch, K, K)` with size 1 where it serves the whole batch."""

    factor: Tensor

    def product(self, vector: Tensor) -> Tensor:
        """`L vector`."""
        return cholesky.product(self.factor, vector)

    def solution(self, vector: Tensor) -> Tensor:
        """`L^-1 vector`."""
        return cholesky.solution(self.factor, vector)

    def image_of_ones(self) -> Tensor:
        """`L^-1 1`."""
        return self.solution(torch.ones_like(self.factor[..., 0]))

    def tightest(self) -> Tensor:
        """The index of the entry of least variance, `(*batch, 1)`."""
        return torch.linalg.vector_norm(self.factor, dim=-1).argmin(-1, keepdim=True)

    def half_log_determinant(self) -> Tensor:
        """`log |L|`."""
        return cholesky.half_log_determinant(self.factor)

    def matrix(self) -> Tensor:
        """`L`, `(*batch, K, K)`."""
        return self.factor

    def projected_variance(self) -> Tensor:
        """The diagonal of `P L L^T P`, with `P = I - 1 1^T / K`."""
        return (self.factor - self.factor.mean(-2, keepdim=True)).square().sum(-1)


Spread = Diagonal | Triangular


def whitened(spread: Spread, vector: Tensor) -> Tensor:
    """`L^-1 vector`, up to a multiple of `L^-1 1`."""
    # A constant in all entries does not count, but divided by a small scale it takes all digits:
    # of the entry of least variance none is left.
    tightest = spread.tightest().expand(*vector.shape[:-1], 1)
    return spread.solution(vector - vector.gather(-1, tightest))


def log_density(spread: Spread, white: Tensor) -> Tensor:
    """`log N(A x; A mu, S)` at `white = L^-1 (x - mu)`, up to a multiple of `L^-1 1`."""
    unit, log_size = _geometry(spread)
    return -0.5 * _without(unit, white).square().sum(-1) - log_size


def entropy(spread: Spread) -> Tensor:
    """The entropy of `A x`."""
    unit, log_size = _geometry(spread)
    return log_size + 0.5 * (float(unit.shape[-1]) - 1)


def expected_log_density(spread: Spread, shift: Tensor, other: Spread) -> Tensor:
    """The mean of `log N(A x; A mu, S)` over `x` of mean `mu + shift` and of another spread."""
    unit, log_size = _geometry(spread)
    squares = _without(unit, whitened(spread, shift)).square().sum(-1)
    if isinstance(spread, Diagonal) and isinstance(other, Diagonal):
        free = complement_of_shares(unit.square())
        squares = squares + (spread.solution(other.scale).square() * free).sum(-1)
    else:
        matrix = other.matrix()
        columns = matrix.expand(*squares.shape, *matrix.shape[-2:]).movedim(-1, 0)
        squares = squares + _without(unit, whitened(spread, columns)).square().sum((0, -1))
    return -0.5 * squares - log_size


def _geometry(spread: Spread) -> tuple[Tensor, Tensor]:
    """The unit vector along `L^-1 1`, in which the density is constant, and `log |2 pi S| / 2`."""
    image = spread.image_of_ones()
    # The squares of very different scales would overflow, and any measure of length is right.
    measure = image.detach().abs().amax(-1, keepdim=True)
    length = torch.linalg.vector_norm(image / measure, dim=-1, keepdim=True)
    log_length = (length.log() + measure.log()).squeeze(-1)
    # A float, as `torch.jit` traces a size as an integer tensor, whose products are in float32.
    constant = 0.5 * (float(image.shape[-1]) - 1) * math.log(2 * math.pi)
    return image / measure / length, spread.half_log_determinant() + log_length + constant


def _without(unit: Tensor, vector: Tensor) -> Tensor:
    """The part of each vector that is orthogonal to the unit vector."""
    return vector - (unit * vector).sum(-1, keepdim=True) * unit
