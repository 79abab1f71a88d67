"""Gates from a clipped normal distribution."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.distributions.gaussian_relaxed_bernoulli import GaussianRelaxedBernoulli
from relaxit_torch.nn.gates import Gates


class StochasticGates(Gates):
    r"""Gates from `GaussianRelaxedBernoulli`: a normal distribution, clipped to [0, 1].

    `penalty()` is $\sum_k \Phi(\mu_k / s)$. The gates in evaluation are $\mu$, clipped to [0, 1].

    Args:
        shape: The shape of the gates. See `Gates`.
        initial_loc: $\mu$ of all gates before training, finite.
        scale: $s > 0$, the standard deviation. It is not trained.
        device: The device of the parameters.
        dtype: The dtype of the parameters.

    Raises:
        ValueError: An argument is outside its domain.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> gates = rt.nn.StochasticGates(4)
        >>> round(gates.penalty().item(), 2)  # of 4 gates
        3.37
        >>> gates.eval()(torch.ones(2, 4)).shape
        torch.Size([2, 4])

    References:
        Yamada, Lindenbaum, Negahban, Kluger (2020), Feature Selection using Stochastic Gates.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        initial_loc: float = 0.5,
        scale: float = 0.5,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        super().__init__(shape)
        check("initial_loc", initial_loc, constraints.real)
        check("scale", scale, constraints.positive)
        self.initial_loc, self.scale = initial_loc, scale
        self.loc = nn.Parameter(torch.empty(self.shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Sets all gates to their initial location."""
        nn.init.constant_(self.loc, self.initial_loc)

    @property
    def distribution(self) -> GaussianRelaxedBernoulli:
        return GaussianRelaxedBernoulli(self.loc, self.scale, validate_args=False)

    @property
    def deterministic_gate(self) -> Tensor:
        return self.loc.clamp(0, 1)

    @property
    def prob_open(self) -> Tensor:
        return self.distribution.prob_nonzero
