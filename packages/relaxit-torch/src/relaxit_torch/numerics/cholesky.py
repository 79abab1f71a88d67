"""Products and solutions with the Cholesky factors of a batch of distributions.

A factor has shape `(*batch, n, n)`, a vector `(*sample, *batch, n)`. Where one factor serves the
whole batch, all vectors are multiplied by it at once, and it is never repeated.
"""

import torch
from torch import Tensor


def factorise(matrix: Tensor) -> Tensor:
    """The lower Cholesky factor of a positive definite matrix.

    Validation has checked that there is one: the check in `torch.linalg.cholesky` would synchronise
    a GPU.
    """
    factor: Tensor = torch.linalg.cholesky_ex(matrix).L
    return factor


def constant_factor(matrix: Tensor | None) -> Tensor | None:
    """The factor of a matrix without gradient, which may be kept; else None.

    A kept factor of a matrix with a gradient would carry a graph that the first backward pass
    frees.
    """
    return None if matrix is None or matrix.requires_grad else factorise(matrix)


def product(factor: Tensor, vector: Tensor) -> Tensor:
    """`factor @ vector` for each vector."""
    if factor.shape[:-2].numel() == 1:
        return torch.nn.functional.linear(vector, factor.reshape(factor.shape[-2:]))
    columns, sample_shape = _as_columns(factor, vector)
    return _as_vectors(factor @ columns, sample_shape)


def solution(factor: Tensor, vector: Tensor) -> Tensor:
    """`factor^-1 vector` for each vector and a lower triangular factor."""
    if factor.shape[:-2].numel() == 1:
        factor = factor.reshape(factor.shape[-2:])
    columns, sample_shape = _as_columns(factor, vector)
    return _as_vectors(torch.linalg.solve_triangular(factor, columns, upper=False), sample_shape)


def half_log_determinant(factor: Tensor) -> Tensor:
    """The logarithm of the determinant of the factor, `(*batch)`: half that of the matrix."""
    return factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _as_columns(factor: Tensor, vector: Tensor) -> tuple[Tensor, torch.Size]:
    """Vectors as the columns of one matrix for each factor, `(*batch, n, samples)`."""
    sample_shape = vector.shape[: vector.dim() - factor.dim() + 1]
    rows = vector.reshape(sample_shape.numel(), *vector.shape[len(sample_shape) :])
    return rows.movedim(0, -1), sample_shape


def _as_vectors(columns: Tensor, sample_shape: torch.Size) -> Tensor:
    rows = columns.movedim(-1, 0)
    return rows.reshape(*sample_shape, *rows.shape[1:])
