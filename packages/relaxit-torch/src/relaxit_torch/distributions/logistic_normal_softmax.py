from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NoReturn

import torch
from torch import Tensor
from torch.distributions import Dirichlet, Distribution, register_kl

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.parameters import derived, exactly_one_of
from relaxit_torch.core.relaxed_distribution import LOW_PRECISION, RelaxedDistribution
from relaxit_torch.numerics import cholesky, log_ratios, noise
from relaxit_torch.numerics.kernels import log_interior
from relaxit_torch.numerics.log_ratios import Diagonal, Spread, Triangular
from relaxit_torch.numerics.special import log_gamma_entropy


class LogisticNormalSoftmax(RelaxedDistribution):
    r"""The softmax of a normal vector: a law on the simplex of as many parameters as categories.

    With independent $\epsilon_k \sim \mathrm{Normal}(0, 1)$ and $\Sigma = L L^T$,

    $$c = \operatorname{softmax}(\mu + L\,\epsilon).$$

    Density with respect to Lebesgue measure on the first $K - 1$ coordinates, with
    $A = [I_{K-1}, -1]$ and $y = A \log c$:

    $$\log p(c) = \log \mathrm{N}(y; A \mu, A \Sigma A^T) - \sum_k \log c_k.$$

    A number added to all of `loc`, or $a 1^T + 1 a^T$ to the covariance matrix, changes nothing.
    With `scale` everything takes time and memory of order $K$; with a matrix, one Cholesky
    factorisation. No discrete variable is relaxed: there is no temperature and no `harden`.

    Shapes: `loc` and `scale` `(*batch, K)`, matrices `(*batch, K, K)`, `batch_shape` `batch`,
    `event_shape` `(K,)`.

    Gradient: pathwise.

    Args:
        loc: $\mu$, finite.
        scale: standard deviations of independent $x_k$: $L = \operatorname{diag}(s)$.
        covariance_matrix: $\Sigma$, symmetric and positive definite.
        scale_tril: $L$, lower triangular with a positive diagonal.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> law = rt.LogisticNormalSoftmax(torch.zeros(3), scale=torch.tensor([0.1, 1.0, 10.0]))
        >>> law.log_prob(torch.tensor([0.2, 0.3, 0.5]))
        tensor(-0.7245)
        >>> law.projected_variance
        tensor([11.2267, 11.5567, 44.5567])

    References:
        Aitchison, Shen (1980); Hobbhahn, Kristiadi, Hennig (2022), for the softmax of K variables.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "scale": constraints.positive_vector,
        "covariance_matrix": constraints.covariance,
        "scale_tril": constraints.lower_cholesky,
    }
    support = constraints.simplex
    base_noise = staticmethod(noise.normal)
    loc: Tensor
    scale: Tensor
    _constant_factor: Tensor | None = None

    def __init__(
        self,
        loc: Tensor,
        scale: Tensor | None = None,
        covariance_matrix: Tensor | None = None,
        scale_tril: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        parameters = {"loc": loc} | exactly_one_of(
            scale=scale, covariance_matrix=covariance_matrix, scale_tril=scale_tril
        )
        super().__init__(parameters, validate_args=validate_args)

    @derived
    def covariance_matrix(self) -> Tensor:
        """The covariance of the normal vector."""
        return self.scale_tril @ self.scale_tril.mT

    @derived
    def scale_tril(self) -> Tensor:
        """Its lower Cholesky factor."""
        return self._spread.matrix().expand(*self.batch_shape, *2 * self.event_shape)

    @property
    def projected_mean(self) -> Tensor:
        r"""$P \mu$ with $P = I - 1 1^T / K$: the part that the softmax sees, `(*batch, K)`."""
        return self._evaluate("_projected_mean")

    @property
    def projected_covariance(self) -> Tensor:
        r"""$P \Sigma P$, `(*batch, K, K)`."""
        return self._evaluate("_projected_covariance")

    @property
    def projected_variance(self) -> Tensor:
        """The diagonal of `projected_covariance`, `(*batch, K)`; of order K with `scale`."""
        return self._evaluate("_projected_variance")

    def _projected_mean(self) -> Tensor:
        return self.loc - self.loc.mean(-1, keepdim=True)

    def _projected_covariance(self) -> Tensor:
        centred = self.scale_tril - self.scale_tril.mean(-2, keepdim=True)
        return centred @ centred.mT

    def _projected_variance(self) -> Tensor:
        return self._spread.projected_variance().expand(self.loc.shape)

    def _discrete(self) -> Distribution:
        raise NotImplementedError(
            "LogisticNormalSoftmax relaxes no discrete distribution: at no temperature does it "
            "become one; take InvertibleGaussian, whose argmax has known probabilities"
        )

    def _uniform(self) -> LogisticNormalSoftmax:
        loc = torch.zeros_like(self.loc)
        return type(self)(loc, scale=torch.ones_like(loc), validate_args=False)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self.loc + self._spread.product(noise), -1)

    def _log_prob(self, value: Tensor) -> Tensor:
        log_value = log_interior(value, self._stored_dtype)
        spread = self._spread
        white = log_ratios.whitened(spread, log_value - self.loc)
        return log_ratios.log_density(spread, white) - log_value.sum(-1)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        spread = self._spread
        log_value = torch.log_softmax(self.loc + spread.product(noise), -1)
        return log_ratios.log_density(spread, noise) - log_value.sum(-1)

    def _set_parameters(self, given: Mapping[str, Any], batch_shape: torch.Size) -> None:
        super()._set_parameters(given, batch_shape)
        if self._constant_factor is None and self._dtype not in LOW_PRECISION:
            self._constant_factor = cholesky.constant_factor(given.get("covariance_matrix"))

    @property
    def _spread(self) -> Spread:
        given: Any = self._given  # not expanded: one factor may serve the whole batch
        if "scale" in given:
            return Diagonal(self.scale)
        if "scale_tril" in given:
            return Triangular(given["scale_tril"])
        kept = self._constant_factor
        return Triangular(cholesky.factorise(given["covariance_matrix"]) if kept is None else kept)


@kl.exact(LogisticNormalSoftmax, LogisticNormalSoftmax)
def _kl(p: LogisticNormalSoftmax, q: LogisticNormalSoftmax) -> Tensor:
    """The normal log-ratios decide."""
    cross = log_ratios.expected_log_density(q._spread, p.loc - q.loc, p._spread)
    return -log_ratios.entropy(p._spread) - cross


@kl.exact(Dirichlet, LogisticNormalSoftmax)
def _kl_of_dirichlet(p: Dirichlet, q: LogisticNormalSoftmax) -> Tensor:
    """By the log-ratios too. A Dirichlet vector is a normalised vector of independent Gamma
    variables, whose logarithms have the means psi(a) and variances psi1(a).
    """
    a = p.concentration.to(q.dtype)
    entropy = log_gamma_entropy(a).sum(-1) - log_gamma_entropy(a.sum(-1))
    logarithms = Diagonal(torch.polygamma(1, a).sqrt())
    cross = log_ratios.expected_log_density(q._spread, torch.digamma(a) - q.loc, logarithms)
    return -entropy - cross


@register_kl(LogisticNormalSoftmax, Dirichlet)
def _kl_to_dirichlet(p: LogisticNormalSoftmax, q: Dirichlet) -> NoReturn:
    raise NotImplementedError(
        "KL(LogisticNormalSoftmax || Dirichlet) has no exact form, because the mean of a logsumexp "
        "of normal variables has none; estimate it as the mean of log p - log q over samples of p "
        "(rsample_and_log_prob scores them), or take the one from its Laplace bridge: "
        "kl_divergence(laplace_bridge.to_dirichlet(p), q)"
    )
