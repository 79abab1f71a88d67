"""Hard Concrete gates, for L0 regularisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.distributions.hard_concrete import HardConcrete
from relaxit_torch.nn.gates import GatesByLogits


class HardConcreteGates(GatesByLogits):
    r"""Gates from `HardConcrete`, which are exactly 0 or 1 with positive probability.

    `penalty()` is $\sum_k P(c_k > 0)$. The gates in evaluation are
    `HardConcrete.deterministic_gate`.

    Args:
        shape: The shape of the gates. See `Gates`.
        initial_probs: $\pi$ of all gates before training, in (0, 1).
        temperature: $\tau > 0$.
        low: $\gamma < 0$, the lower end of the stretched interval.
        high: $\zeta > 1$, the upper end of the stretched interval.
        device: The device of the parameters.
        dtype: The dtype of the parameters.

    Raises:
        ValueError: An argument is outside its domain.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> gates = rt.nn.HardConcreteGates(3)
        >>> network = torch.nn.Sequential(gates, torch.nn.Linear(3, 1))
        >>> loss = network(torch.randn(8, 3)).square().mean() + 0.1 * gates.penalty()
        >>> loss.backward()
        >>> with torch.no_grad():
        ...     _ = gates.logits.copy_(torch.tensor([4.0, -4.0, 4.0]))
        >>> gates.prune()
        tensor([0, 2])
        >>> gates.eval()(torch.ones(3)).tolist()
        [1.0, 0.0, 1.0]

    References:
        Louizos, Welling, Kingma (2018), Learning Sparse Neural Networks through L0 Regularization.
    """

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        initial_probs: float = 0.5,
        temperature: float = 2 / 3,
        low: float = -0.1,
        high: float = 1.1,
        device: Any = None,
        dtype: torch.dtype | None = None,
    ) -> None:
        check("low", low, constraints.negative)
        check("high", high, constraints.above_one)
        super().__init__(
            shape,
            initial_probs=initial_probs,
            temperature=temperature,
            device=device,
            dtype=dtype,
        )
        self.low, self.high = low, high

    @property
    def distribution(self) -> HardConcrete:
        return HardConcrete(
            self.temperature,
            logits=self.logits,
            low=self.low,
            high=self.high,
            validate_args=False,
        )

    @property
    def deterministic_gate(self) -> Tensor:
        return self.distribution.deterministic_gate

    @property
    def prob_open(self) -> Tensor:
        return self.distribution.prob_nonzero
