"""The latent variable of the model that is evaluated: the discrete one, wherever there is one."""

from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints

from relaxit_torch import RelaxedDistribution
from relaxit_torch.numerics.normal import ndtri_expit


@dataclass(frozen=True)
class Code:
    """The law of the latent variable of the model that is evaluated, and what its decoder reads.

    That is the discrete law. The probabilities of correlated bits are integrals without a closed
    form; for them it is the normal vector whose signs are the bits, scored by `SignsOfNormal`.
    Where no discrete variable is relaxed it is the relaxed law itself.
    """

    law: Distribution

    @classmethod
    def of(cls, distribution: RelaxedDistribution) -> "Code":
        """That of a posterior, or of a prior."""
        try:
            discrete: Any = distribution.discrete
        except NotImplementedError:
            return cls(distribution)
        if not hasattr(discrete, "correlation_cholesky"):
            return cls(discrete)
        # A bit is 1 where a standard normal variable exceeds -loc, which has its probability.
        return cls(SignsOfNormal(ndtri_expit(discrete.logits), discrete.correlation_cholesky))

    def read(self, value: Tensor) -> Tensor:
        """What the decoder is given for a value of the law."""
        if isinstance(self.law, SignsOfNormal):
            return (value > 0).to(value.dtype)
        return value

    def mean(self) -> Tensor:
        """The mean of what the decoder is given; of 100 samples where it has no closed form."""
        try:
            return self.law.mean
        except NotImplementedError:
            return self.law.sample((100,)).mean(dim=0)


class SignsOfNormal(Distribution):
    """Bits `1[u > 0]` of a normal vector `u = loc + L z`, given one after the other.

    Given the normal variables before it, bit `k` is 1 with probability
    `Phi((loc_k + sum_{j<k} L_kj z_j) / L_kk)`. These multiply to the density, with respect to
    counting measure times Lebesgue's, of the bits together with the level in (0, 1) that each `z_k`
    has among the values that give the same bit. Add such levels to a model of bits, uniform and not
    read by its decoder: it gives each image the same probability as before. So
    `log p(image | bits) + log p(bits) - log_prob(u)` is a valid importance weight. It varies far
    less than the ratio of two normal densities, and not at all, given the bits, without
    correlation. As a prior, whose levels must be uniform, take it without correlation only.
    This factorisation of an orthant probability is that of the simulator of Geweke, Hajivassiliou
    and Keane (Geweke 1991).

    Args:
        loc: real, `(*batch, n)`.
        scale_tril: Cholesky factor of a correlation matrix, `(*batch, n, n)`: rows of length 1.

    Values `u` are of shape `(*sample, *batch, n)`, and `mean` is that of the bits.

    Example:
        >>> law = SignsOfNormal(torch.zeros(2), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
        >>> law.log_prob(torch.tensor([1.5, -0.2])).exp()  # 1/2 * Phi(-0.6 * 1.5 / 0.8)
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
        """Normal vectors, of which the decoder reads the signs."""
        with torch.no_grad():
            shape = self._extended_shape(Size(sample_shape))
            z = torch.randn(shape, dtype=self.loc.dtype, device=self.loc.device)
            return self.loc + (self.scale_tril @ z[..., None])[..., 0]

    def log_prob(self, value: Tensor) -> Tensor:
        """The sum over the bits of the log-probability of each given what is before it."""
        centred = (value - self.loc)[..., None]
        z = torch.linalg.solve_triangular(self.scale_tril, centred, upper=False)[..., 0]
        before = self.loc + (self.scale_tril.tril(-1) @ z[..., None])[..., 0]
        score = before / self.scale_tril.diagonal(dim1=-2, dim2=-1)
        return torch.special.log_ndtr(torch.where(value > 0, score, -score)).sum(dim=-1)
