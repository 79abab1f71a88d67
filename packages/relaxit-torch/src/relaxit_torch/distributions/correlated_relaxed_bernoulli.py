from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import CorrelatedFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.distributions import concrete
from relaxit_torch.distributions.correlated_bernoulli import CorrelatedBernoulli
from relaxit_torch.numerics import cholesky, noise
from relaxit_torch.numerics.kernels import log_logistic_density
from relaxit_torch.numerics.normal import coupled_logistic, logit_ndtr, ndtri_expit
from relaxit_torch.numerics.temperature import tempered


class CorrelatedRelaxedBernoulli(CorrelatedFamily):
    r"""Bernoulli variables coupled by a normal copula, relaxed to the open unit cube.

    With independent $\epsilon_k \sim \mathrm{Normal}(0, 1)$, $v = \operatorname{chol}(R)\,\epsilon$
    and $u_k = \Phi(v_k)$,

    $$c_k = \sigma\left(\frac{\operatorname{logit} \pi_k + \operatorname{logit} u_k}{\tau}\right).$$

    Density with respect to Lebesgue measure on $(0, 1)^n$: those of Binary Concrete variables,
    times the density of the copula,

    $$\log p(c) = \log \mathrm{N}(v; 0, R) + \sum_k \left[ \log p_k(c_k) - \log \phi(v_k) \right],
      \qquad v_k = \Phi^{-1}(\sigma(\tau \operatorname{logit} c_k - \operatorname{logit} \pi_k)),$$

    with $p_k$ the density of `BinaryConcrete`.

    `harden(c)` is `c > 1/2` in each entry, exactly the `discrete` CorrelatedBernoulli($\pi$, $R$) at
    every temperature: each entry is Bernoulli($\pi_k$), and a pair is 1 with probability
    $\Phi_2(\Phi^{-1}(\pi_i), \Phi^{-1}(\pi_j); R_{ij})$.

    Shapes: probabilities `(*batch, n)`, matrices `(*batch, n, n)`, `batch_shape` `batch`,
    `event_shape` `(n,)`.

    Gradient: pathwise, in the matrix or its factor too; its bias against the Bernoulli objective
    vanishes with the temperature.

    Args:
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$, each in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        correlation_matrix: $R$, symmetric with a unit diagonal and positive definite.
        correlation_cholesky: its lower Cholesky factor, in place of the matrix.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> _ = torch.manual_seed(0)
        >>> probs = torch.tensor([[0.2, 0.4, 0.4], [0.3, 0.5, 0.2]])
        >>> matrix = torch.tensor([[1.0, 0.5, 0.3], [0.5, 1.0, 0.7], [0.3, 0.7, 1.0]])
        >>> relaxed = rt.CorrelatedRelaxedBernoulli(0.1, probs, correlation_matrix=matrix)
        >>> bits = relaxed.harden(relaxed.rsample((100_000,)))
        >>> bool((bits.mean(0) - probs).abs().max() < 0.01)
        True

    References:
        Lee, Imrie, van der Schaar (2022).
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **CorrelatedFamily.arg_constraints,
        "temperature": constraints.positive,
    }
    support = constraints.unit_cube
    base_noise = staticmethod(noise.normal)
    temperature: Parameter

    def __init__(
        self,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        correlation_matrix: Tensor | None = None,
        correlation_cholesky: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        parameters = exactly_one_of(probs=probs, logits=logits) | exactly_one_of(
            correlation_matrix=correlation_matrix, correlation_cholesky=correlation_cholesky
        )
        super().__init__({**parameters, "temperature": temperature}, validate_args=validate_args)

    def _discrete(self) -> Distribution:
        given: dict[str, Any] = {
            name: value for name, value in self._given.items() if name != "temperature"
        }
        coupled = CorrelatedBernoulli(**given, validate_args=self._validate_args)
        return coupled.expand(self.batch_shape)

    def _relax(self, noise: Tensor) -> Tensor:
        score = self.logits + coupled_logistic(self._factor, noise)
        return torch.sigmoid(tempered(score, self._per_event(self.temperature)))

    def _log_prob(self, value: Tensor) -> Tensor:
        temperature = self._per_event(self.temperature)
        logistic, log_slope = concrete.bit_noise(
            value, self.logits, temperature, self._stored_dtype
        )
        normal, factor = ndtri_expit(logistic), self._factor
        return self._log_density(
            logistic, log_slope, normal, cholesky.solution(factor, normal), factor
        )

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        factor = self._factor
        normal = cholesky.product(factor, noise)
        logistic = logit_ndtr(normal)
        score = tempered(self.logits + logistic, self._per_event(self.temperature))
        return self._log_density(logistic, log_logistic_density(score), normal, noise, factor)

    def _log_density(
        self,
        logistic: Tensor,
        log_slope: Tensor,
        normal: Tensor,
        independent: Tensor,
        factor: Tensor,
    ) -> Tensor:
        """The Binary Concrete densities of all entries, times the density of the copula."""
        temperature = self._per_event(self.temperature)
        marginal = concrete.bit_log_density(logistic, log_slope, temperature).sum(-1)
        squares = normal.square().sum(-1) - independent.square().sum(-1)
        return marginal + 0.5 * squares - cholesky.half_log_determinant(factor)


@kl.exact(CorrelatedRelaxedBernoulli, CorrelatedRelaxedBernoulli)
def _kl(p: CorrelatedRelaxedBernoulli, q: CorrelatedRelaxedBernoulli) -> Tensor:
    """One map leads from the normal vectors to both, so that their divergence is the same."""
    kl.require_equal("temperatures", p.temperature, q.temperature)
    kl.require_equal("probabilities", p.logits, q.logits)
    ratio = torch.linalg.solve_triangular(q._factor, p._factor, upper=False)
    log_determinants = [cholesky.half_log_determinant(x._factor) for x in (p, q)]
    squares = ratio.square().sum((-2, -1)) - p.event_shape[0]
    return (0.5 * squares + log_determinants[1] - log_determinants[0]).expand(p.batch_shape)
