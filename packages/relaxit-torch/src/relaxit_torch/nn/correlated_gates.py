"""Gates with a correlation matrix."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.core.parameters import check_count
from relaxit_torch.distributions.correlated_relaxed_bernoulli import CorrelatedRelaxedBernoulli
from relaxit_torch.nn.gates import GatesByLogits
from relaxit_torch.numerics import cholesky


class CorrelatedGates(GatesByLogits):
    r"""Gates from `CorrelatedRelaxedBernoulli`, which open together as the features vary together.

    The correlation matrix is fixed, for instance `torch.corrcoef(data.T)`.

    `penalty()` is $\sum_k \pi_k$, the expected number of ones of the discrete gates. (The relaxed
    gates of training are never exactly 0.) The gates in evaluation are 1 where $\pi_k \ge 1/2$,
    and 0 elsewhere.

    Args:
        features: The number of gates.
        correlation_matrix: $R$, `(features, features)`, symmetric with a unit diagonal and positive
            definite. Default: the identity, for independent gates. The `state_dict` contains its
            Cholesky factor.
        initial_probs: $\pi$ of all gates before training, in (0, 1).
        temperature: $\tau > 0$.
        device: The device of the parameters and the factor.
        dtype: The dtype of the parameters and the factor.

    Raises:
        ValueError: An argument is outside its domain, or the matrix has another shape.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> _ = torch.manual_seed(0)
        >>> gates = rt.nn.CorrelatedGates(2, torch.tensor([[1.0, 0.99], [0.99, 1.0]]))
        >>> drawn = gates(torch.ones(1000, 2)) > 0.5
        >>> bool((drawn[:, 0] == drawn[:, 1]).float().mean() > 0.9)
        True

    References:
        Lee, Imrie, van der Schaar (2022).
    """

    correlation_cholesky: Tensor

    def __init__(
        self,
        features: int,
        correlation_matrix: Tensor | None = None,
        *,
        initial_probs: float = 0.5,
        temperature: float = 2 / 3,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(
            check_count("features", features),
            initial_probs=initial_probs,
            temperature=temperature,
            device=device,
            dtype=dtype,
        )
        if correlation_matrix is None:
            factor = torch.eye(features)
        elif correlation_matrix.shape != 2 * self.shape:
            raise ValueError(
                f"correlation_matrix must have the shape {tuple(2 * self.shape)}, "
                f"but got {tuple(correlation_matrix.shape)}"
            )
        else:
            check("correlation_matrix", correlation_matrix, constraints.correlation)
            factor = cholesky.factorise(correlation_matrix.detach().to(torch.float64))
        # A loaded factor is contiguous. The same layout gives the same samples to the last bit.
        self.register_buffer("correlation_cholesky", factor.to(self.logits).contiguous())

    @property
    def distribution(self) -> CorrelatedRelaxedBernoulli:
        return CorrelatedRelaxedBernoulli(
            self.temperature,
            logits=self.logits,
            correlation_cholesky=self.correlation_cholesky,
            validate_args=False,
        )

    @property
    def deterministic_gate(self) -> Tensor:
        return (self.logits >= 0).to(self.logits.dtype)

    @property
    def prob_open(self) -> Tensor:
        return torch.sigmoid(self.logits)
