"""Gates that multiply features: random in training, fixed in evaluation, exactly 0 when closed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn

from relaxit_torch import constraints, matrices
from relaxit_torch.distributions.correlated_relaxed_bernoulli import CorrelatedRelaxedBernoulli
from relaxit_torch.distributions.gaussian_relaxed_bernoulli import GaussianRelaxedBernoulli
from relaxit_torch.distributions.hard_concrete import HardConcrete
from relaxit_torch.parameters import check, check_count
from relaxit_torch.relaxed_distribution import RelaxedDistribution


class Gates(nn.Module):
    """What all gates have in common: one for each feature, drawn anew for each example.

    In training an input `(*batch, *shape)` is multiplied by gates drawn from `distribution`. In
    evaluation it is multiplied by `deterministic_gate`, which is the same each time. The result has
    the shape and dtype of the input. A loss that adds a multiple of `penalty()` closes the gates of
    features that it can do without; `prune()` tells which are left.

    Args:
        shape: of the gates, an integer for a vector; a size of 1 stands for any size of the input,
            such as `(channels, 1, 1)` for one gate for each channel of an image.
    """

    def __init__(self, shape: int | Sequence[int]) -> None:
        super().__init__()
        sizes = shape if isinstance(shape, Sequence) else (shape,)
        self.shape = torch.Size(check_count("shape", size) for size in sizes)

    @property
    def distribution(self) -> RelaxedDistribution:
        """The law of the gates in training, of batch and event shape `shape` together."""
        raise NotImplementedError

    @property
    def deterministic_gate(self) -> Tensor:
        """The gates of evaluation, of shape `shape`; 0 for those that `prune` leaves out."""
        raise NotImplementedError

    @property
    def prob_open(self) -> Tensor:
        """The probability that each gate is open, of shape `shape`."""
        raise NotImplementedError

    def penalty(self) -> Tensor:
        """The expected number of open gates, a number that a loss can weigh."""
        return self.prob_open.sum()

    @torch.no_grad()
    def prune(self) -> Tensor:
        """Which gates are open in evaluation: their indices, in order, `(kept,)`.

        Of gates of several dimensions, the indices into their flattened values. Features that are
        left out have a gate of 0, so that a network without them returns the same. Nothing is
        changed. The number of indices is a value, for which a GPU has to wait.
        """
        return self.deterministic_gate.flatten().nonzero().flatten()

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 (torch's name)
        """Multiplies `input`, `(*batch, *shape)`, by the gates."""
        if not input.is_floating_point():
            raise TypeError(f"input must be floating-point numbers, but got {input.dtype}")
        leading = input.dim() - len(self.shape)
        features = input.shape[max(leading, 0) :]
        if leading < 0 or any(
            gate not in (1, size) for gate, size in zip(self.shape, features, strict=True)
        ):
            raise ValueError(
                f"input must have a shape that ends with {tuple(self.shape)}, "
                f"but got {tuple(input.shape)}"
            )
        if not self.training:
            return input * self.deterministic_gate.to(input.dtype)
        return input * self.distribution.rsample(input.shape[:leading]).to(input.dtype)

    def extra_repr(self) -> str:
        return f"{self.shape[0] if len(self.shape) == 1 else tuple(self.shape)}"


class _GatesByLogits(Gates):
    """Gates whose parameter is the log-odds of each, and whose law has a temperature."""

    def __init__(
        self,
        shape: int | Sequence[int],
        *,
        initial_probs: float,
        temperature: float,
        device: Any,
        dtype: torch.dtype | None,
    ) -> None:
        super().__init__(shape)
        check("initial_probs", initial_probs, constraints.open_unit_interval)
        check("temperature", temperature, constraints.positive)
        self.initial_probs, self.temperature = initial_probs, temperature
        self.logits = nn.Parameter(torch.empty(self.shape, device=device, dtype=dtype))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Gives all gates their initial probability."""
        log_odds = math.log(self.initial_probs) - math.log1p(-self.initial_probs)
        nn.init.constant_(self.logits, log_odds)


class HardConcreteGates(_GatesByLogits):
    r"""Gates of a Hard Concrete law, which are 0 or 1 with positive probability (Louizos et al.).

    `penalty()` is $\sum_k P(c_k > 0)$ of `HardConcrete`; the gates of evaluation are its
    `deterministic_gate`.

    Args:
        shape: of the gates; see `Gates`.
        initial_probs: $\pi$ of all gates before training, in (0, 1).
        temperature: $\tau > 0$.
        low: $\gamma < 0$, the lower end of the stretched interval.
        high: $\zeta > 1$, the upper end.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a number outside its domain.

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


class StochasticGates(Gates):
    r"""Gates of a normal law, clipped to [0, 1] (Yamada et al.).

    `penalty()` is $\sum_k \Phi(\mu_k / s)$; the gates of evaluation are $\mu$, clipped to [0, 1].

    Args:
        shape: of the gates; see `Gates`.
        initial_loc: $\mu$ of all gates before training.
        scale: $s > 0$, a standard deviation, which training does not change.
        device: of the parameters.
        dtype: of the parameters.

    Raises:
        ValueError: a number outside its domain.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> gates = rt.nn.StochasticGates(4)
        >>> round(gates.penalty().item(), 2)  # of 4
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
        """Gives all gates their initial location."""
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


class CorrelatedGates(_GatesByLogits):
    r"""Gates of Bernoulli variables that are coupled as the features are (Lee, Imrie et al.).

    Features that go together are let through together: the gates of an example are a
    `CorrelatedRelaxedBernoulli` vector with a fixed correlation matrix, such as
    `torch.corrcoef(data.T)`.

    `penalty()` is $\sum_k \pi_k$, the expected number of ones of the Bernoulli variables that are
    relaxed (the relaxed ones are never 0). The gates of evaluation are the likelier value of each:
    1 where $\pi_k \ge 1/2$, else 0.

    Args:
        features: the number of gates.
        correlation_matrix: $R$, `(features, features)`, symmetric with a unit diagonal and positive
            definite; by default the identity, of gates that are independent. It is part of the
            `state_dict`, as its Cholesky factor.
        initial_probs: $\pi$ of all gates before training, in (0, 1).
        temperature: $\tau > 0$.
        device: of parameters and factor.
        dtype: of parameters and factor.

    Raises:
        ValueError: a number outside its domain, or a matrix that is no correlation matrix of
            `features` rows.

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
            factor = matrices.cholesky(correlation_matrix.detach().to(torch.float64))
        self.register_buffer("correlation_cholesky", factor.to(self.logits))

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
