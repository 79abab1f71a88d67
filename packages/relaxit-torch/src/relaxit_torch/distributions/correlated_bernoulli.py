from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core import constraints
from relaxit_torch.core.families import CorrelatedFamily
from relaxit_torch.core.parameters import exactly_one_of
from relaxit_torch.core.relaxed_distribution import DiscreteDistribution
from relaxit_torch.numerics import cholesky, noise
from relaxit_torch.numerics.normal import logit_ndtr, ndtri_expit
from relaxit_torch.numerics.quadrature import log_bivariate_ndtr


class CorrelatedBernoulli(DiscreteDistribution, CorrelatedFamily):
    r"""Bernoulli variables that are coupled by a normal copula: a multivariate Bernoulli law.

    With $v \sim \mathrm{Normal}(0, R)$, that is $v = \operatorname{chol}(R)\,\epsilon$ of
    independent standard normal $\epsilon$,

    $$b_k = 1[\Phi(v_k) > 1 - \pi_k].$$

    Density with respect to counting measure on $\{0, 1\}^n$: the probability of an orthant,

    $$p(b) = P(s_k v_k \le s_k \Phi^{-1}(\pi_k) \text{ for all } k), \qquad s_k = 2 b_k - 1.$$

    It is exact for $n \le 2$ and for $R = I$. For other matrices `log_prob` raises
    NotImplementedError: such probabilities are integrals over $n$ dimensions.

    Shapes: probabilities `(*batch, n)`, matrices `(*batch, n, n)`, `batch_shape` `batch`,
    `event_shape` `(n,)`.

    Gradient: none of a sample; see `CorrelatedRelaxedBernoulli`. That of `log_prob` is exact.

    Args:
        probs: $\pi$, each in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        correlation_matrix: $R$, symmetric with a unit diagonal and positive definite.
        correlation_cholesky: its lower Cholesky factor, in place of the matrix.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> matrix = torch.tensor([[1.0, 0.5], [0.5, 1.0]])
        >>> coins = rt.CorrelatedBernoulli(torch.tensor([0.5, 0.5]), correlation_matrix=matrix)
        >>> coins.log_prob(torch.tensor([1.0, 1.0])).exp()  # 1/4 + arcsin(1/2) / (2 pi)
        tensor(0.3333)

    References:
        Lee, Imrie, van der Schaar (2022).
    """

    support = constraints.boolean_vector
    base_noise = staticmethod(noise.normal)

    def __init__(
        self,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        correlation_matrix: Tensor | None = None,
        correlation_cholesky: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits) | exactly_one_of(
            correlation_matrix=correlation_matrix, correlation_cholesky=correlation_cholesky
        )
        super().__init__(parameters, validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        log_odds = logit_ndtr(cholesky.product(self._factor, noise))
        return (log_odds > -self.logits).to(noise.dtype)

    def _log_prob(self, value: Tensor) -> Tensor:
        size, sign = self.event_shape[0], 2 * value - 1
        if size == 2:
            quantile, factor = sign * ndtri_expit(self.logits), self._factor
            # Of unit rows [1, 0] and [r, sqrt(1 - r^2)]: the lower left entry is the correlation.
            correlation = sign.prod(-1) * factor[..., 1, 0]
            return log_bivariate_ndtr(quantile[..., 0], quantile[..., 1], correlation)
        if size > 2:
            self._require_independence()
        return logsigmoid(sign * self.logits).sum(-1)

    def _require_independence(self) -> None:
        factor = self._factor
        if not torch.equal(factor, torch.eye(factor.shape[-1]).to(factor).expand_as(factor)):
            raise NotImplementedError(
                "log_prob of CorrelatedBernoulli is exact for at most 2 components, or where the "
                "correlation matrix is the identity: otherwise it is an orthant probability. "
                "Estimate it by sampling, or take that of CorrelatedRelaxedBernoulli"
            )

    def _mean(self) -> Tensor:
        return self.probs

    def _variance(self) -> Tensor:
        return torch.sigmoid(self.logits) * torch.sigmoid(-self.logits)
