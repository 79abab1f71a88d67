"""The latent variable of the evaluated model: the discrete variable, wherever there is one."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from relaxit_torch import (
    CorrelatedBernoulli,
    LogisticNormalSoftmax,
    PlackettLuce,
    RelaxedDistribution,
)
from relaxit_torch.numerics.normal import ndtri_expit
from relaxit_vae.objective import closed_form_kl, kl_at_sample


class SignsOfNormal(Distribution):
    """Bits `1[u > 0]` of a normal vector `u = loc + L z`, scored one after the other.

    Given the normal variables before it, bit `k` is 1 with probability
    `Phi((loc_k + sum_{j<k} L_kj z_j) / L_kk)`. `log_prob(u)` is the sum of the log-probabilities of
    the bits.

    `log p(image | bits) + log p(bits) - log_prob(u)` is a valid importance weight. To see this, let
    the level of `z_k` be its position, in (0, 1), among the values that give the same bit. Extend
    the model of bits by levels that are uniform and that its decoder does not read: each image
    keeps its probability. `exp(log_prob(u))` is the density of bits and levels together, with
    respect to counting measure times Lebesgue measure. Without correlation the weight depends only
    on the bits. In general it varies far less than the ratio of two normal densities. The levels of
    a prior must be uniform: use this distribution as a prior without correlation only.

    The factorisation is the one of the simulator of Geweke, Hajivassiliou and Keane (Geweke 1991)
    for the probability of an orthant.

    Args:
        loc: real, `(*batch, n)`.
        scale_tril: Cholesky factor of a correlation matrix, `(*batch, n, n)`: rows of length 1.

    Values `u` have shape `(*sample, *batch, n)`. `mean` is the mean of the bits.

    Example:
        >>> signs = SignsOfNormal(torch.zeros(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
        >>> signs.log_prob(torch.tensor([1.5, -0.2])).exp()  # 1/2 * Phi(-0.6 * 1.5 / 0.8)
        tensor(0.0651)
    """

    support = constraints.real_vector
    arg_constraints: ClassVar[dict[str, constraints.Constraint]] = {
        "loc": constraints.real_vector,
        "scale_tril": constraints.corr_cholesky,
    }

    def __init__(self, loc: Tensor, scale_tril: Tensor) -> None:
        self.loc, self.scale_tril = loc, scale_tril
        batch_shape = torch.broadcast_shapes(loc.shape[:-1], scale_tril.shape[:-2])
        super().__init__(batch_shape, loc.shape[-1:], validate_args=False)

    @property
    def mean(self) -> Tensor:
        return torch.special.ndtr(self.loc).expand(self.batch_shape + self.event_shape)

    def sample(self, sample_shape: Size | list[int] | tuple[int, ...] = ()) -> Tensor:
        """Returns normal vectors. The decoder reads their signs."""
        with torch.no_grad():
            shape = self._extended_shape(Size(sample_shape))
            z = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
            return self.loc + (self.scale_tril @ z[..., None])[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        """Returns the sum of the log-probabilities of the bits, each given those before it."""
        centred = (value - self.loc)[..., None]
        z = torch.linalg.solve_triangular(self.scale_tril, centred, upper=False)[..., 0]
        before = self.loc + (self.scale_tril.tril(-1) @ z[..., None])[..., 0]
        score = before / self.scale_tril.diagonal(dim1=-2, dim2=-1)
        return torch.special.log_ndtr(torch.where(value > 0, score, -score)).sum(dim=-1)


@dataclass(frozen=True)
class Code:
    """The distribution of the latent variable of the evaluated model, and what its decoder reads.

    It is the discrete distribution, with one exception. The probabilities of correlated bits are
    integrals without a closed form. Their code is the normal vector whose signs are the bits,
    scored by `SignsOfNormal`. Where no discrete variable is relaxed, the code is the relaxed
    variable itself.
    """

    distribution: Distribution

    @classmethod
    def of(cls, distribution: RelaxedDistribution) -> "Code":
        """Returns the code of a posterior, or of a prior, that relaxes a discrete variable."""
        discrete: Any = distribution.discrete
        if not isinstance(discrete, CorrelatedBernoulli):
            return cls(discrete)
        # A bit is 1 where a standard normal variable exceeds -loc, which has its probability.
        return cls(SignsOfNormal(ndtri_expit(discrete.logits), discrete.correlation_cholesky))

    @property
    def has_closed_form_kl(self) -> bool:
        """Whether its divergence from a prior of the same class has a closed form."""
        return not isinstance(self.distribution, SignsOfNormal | PlackettLuce)

    def kl(self, prior: Distribution, value: Tensor) -> Tensor:
        """Returns the divergence from the prior: in closed form, if there is one, or at `value`."""
        if self.has_closed_form_kl:
            return closed_form_kl(self.distribution, prior)
        return kl_at_sample(value, self.distribution, prior)

    def read(self, value: Tensor) -> Tensor:
        """Returns what the decoder reads for a value of the distribution."""
        if isinstance(self.distribution, SignsOfNormal):
            return (value > 0).to(value.dtype)
        return value

    def mean(self) -> Tensor:
        """Returns the mean of what the decoder reads, or of 100 samples without a closed form."""
        if isinstance(self.distribution, PlackettLuce | LogisticNormalSoftmax):
            return self.distribution.sample((100,)).mean(dim=0)
        return self.distribution.mean
