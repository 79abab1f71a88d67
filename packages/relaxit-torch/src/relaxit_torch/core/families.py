"""What relaxations of the same discrete variable share: its parameters and its distribution."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Categorical, Distribution, OneHotCategorical
from torch.nn.functional import logsigmoid

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import check_count, derived
from relaxit_torch.core.relaxed_distribution import LOW_PRECISION, RelaxedDistribution
from relaxit_torch.numerics import cholesky
from relaxit_torch.numerics.kernels import hardmax


class BinaryFamily(RelaxedDistribution):
    """Relaxations of a bit. A subclass gives the log-odds of 1."""

    def _discrete_logits(self) -> Tensor:
        """The log-odds of the discrete bit, `(*batch)`."""
        raise NotImplementedError

    def _discrete(self) -> Distribution:
        logits = self._evaluate("_discrete_logits")
        return Bernoulli(logits=logits, validate_args=self._validate_args)

    def _harden(self, value: Tensor) -> Tensor:
        return (value > 0.5).to(value.dtype)

    def _log_mass(self, value: Tensor) -> Tensor:
        logits = self._discrete_logits()
        return logsigmoid(logits) - (1 - value) * logits


class BernoulliFamily(BinaryFamily):
    """Relaxations of Bernoulli variables, given by `probs` or `logits` of the batch shape."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.open_unit_interval,
        "logits": constraints.real,
    }

    @derived
    def probs(self) -> Tensor:
        """The probability of 1."""
        return torch.sigmoid(self.logits)

    @derived
    def logits(self) -> Tensor:
        """The log-odds of 1."""
        return torch.logit(self.probs)

    def _discrete_logits(self) -> Tensor:
        return self.logits

    def _uniform(self) -> Self:
        return self._with(logits=torch.zeros_like(self.logits))


class CorrelatedFamily(BernoulliFamily):
    """Vectors of Bernoulli variables, coupled by the normal copula of a correlation matrix `R`.

    `probs` or `logits` have shape `(*batch, n)`; `R` or its Cholesky factor, `(*batch, n, n)`.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.open_unit_cube,
        "logits": constraints.real_vector,
        "correlation_matrix": constraints.correlation,
        "correlation_cholesky": constraints.correlation_cholesky,
    }
    _constant_factor: Tensor | None = None

    @derived
    def correlation_matrix(self) -> Tensor:
        """The correlation matrix of the copula."""
        return self.correlation_cholesky @ self.correlation_cholesky.mT

    @derived
    def correlation_cholesky(self) -> Tensor:
        """The lower Cholesky factor of the correlation matrix."""
        return cholesky.factorise(self.correlation_matrix)

    def _set_parameters(self, given: Mapping[str, Any], batch_shape: torch.Size) -> None:
        super()._set_parameters(given, batch_shape)
        if self._constant_factor is None and self._dtype not in LOW_PRECISION:
            self._constant_factor = cholesky.constant_factor(given.get("correlation_matrix"))

    @property
    def _factor(self) -> Tensor:
        """The Cholesky factor, not expanded: one may serve the whole batch."""
        given: Any = self._given
        if "correlation_cholesky" in given:
            factor: Tensor = given["correlation_cholesky"]
            return factor
        kept = self._constant_factor
        return cholesky.factorise(given["correlation_matrix"]) if kept is None else kept

    def _uniform(self) -> Self:
        logits = torch.zeros_like(self.logits)
        kept = {n: v for n, v in self._given.items() if n not in CorrelatedFamily.arg_constraints}
        family: Any = type(self)
        made: Self = family(
            **kept,
            logits=logits,
            correlation_cholesky=torch.ones_like(logits).diag_embed(),
            validate_args=False,
        )
        return made


class OneHotFamily(RelaxedDistribution):
    """Relaxations of one-hot categories. A subclass gives the logits of the categories."""

    def _discrete_logits(self) -> Tensor:
        """The log-probabilities of the categories, up to a constant, `(*batch, K)`."""
        raise NotImplementedError

    def _discrete(self) -> Distribution:
        # OneHotCategorical(validate_args=False) would validate its inner Categorical all the same,
        # which synchronises a GPU.
        logits = self._evaluate("_discrete_logits")
        one_hot: OneHotCategorical = OneHotCategorical.__new__(OneHotCategorical)
        one_hot._categorical = Categorical(logits=logits, validate_args=False)
        Distribution.__init__(
            one_hot, self.batch_shape, self.event_shape, validate_args=self._validate_args
        )
        return one_hot

    def _harden(self, value: Tensor) -> Tensor:
        return hardmax(value)

    def _log_mass(self, value: Tensor) -> Tensor:
        # OneHotCategorical takes an argmax instead, which ends the gradient.
        log_probs = torch.log_softmax(self._discrete_logits(), -1)
        possible = log_probs > -torch.inf
        mass = (value * torch.where(possible, log_probs, 0)).sum(-1)
        return torch.where((~possible & (value > 0)).any(-1), -torch.inf, mass)


class CategoricalFamily(OneHotFamily):
    """Relaxations of one-hot categories, given by `probs` or `logits` of shape `(*batch, K)`."""

    arg_constraints: ClassVar[dict[str, Any]] = {
        "probs": constraints.simplex,
        "logits": constraints.category_logits,
    }

    @derived
    def probs(self) -> Tensor:
        """The probabilities of the categories."""
        return torch.softmax(self.logits, -1)

    @derived
    def logits(self) -> Tensor:
        """The log-probabilities of the categories, up to a constant; -inf for an impossible one."""
        # The derivative of log 0 is infinite, and 0 * inf is NaN.
        possible = self.probs > 0
        return torch.where(possible, self.probs, 1).log().masked_fill(~possible, -torch.inf)

    @property
    def possible(self) -> Tensor:
        """Which categories can be chosen at all, `(*batch, K)`."""
        return self.logits > -torch.inf

    def _discrete_logits(self) -> Tensor:
        return self.logits

    def _uniform(self) -> Self:
        return self._with(logits=torch.zeros_like(self.logits))


class RowsFamily(CategoricalFamily):
    """`k` of `K` categories without replacement: events are rows, `(k, K)`.

    At least `k` categories must be possible, which `arg_constraints` of an instance say.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "k": constraints.count,
        **CategoricalFamily.arg_constraints,
    }
    k: int
    """How many categories are drawn."""

    def __init__(
        self,
        k: int,
        parameters: Mapping[str, Any],
        *,
        validate_args: bool | None = None,
        **switches: bool,
    ) -> None:
        at_least = check_count("k", k)
        self.arg_constraints = {  # type: ignore[misc]
            **type(self).arg_constraints,
            "probs": constraints.Simplex(at_least),
            "logits": constraints.CategoryLogits(at_least),
        }
        super().__init__({"k": k, **parameters}, validate_args=validate_args, **switches)

    def _infer_event_shape(self) -> torch.Size:
        categories = self.logits.shape[-1]
        if self.k > categories:
            raise ValueError(
                f"k must be at most the number of categories, {categories}, but got {self.k}"
            )
        return torch.Size((self.k, categories))

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self.event_shape[1:]

    def _contradicted(self, khot: Tensor) -> Tensor:
        """Whether an impossible category is among those that are drawn."""
        return (~self.possible & (khot > 0)).any(-1)
