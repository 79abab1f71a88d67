from __future__ import annotations

from torch import Tensor

from relaxit_torch.core import constraints
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import bernoulli


class StraightThroughBernoulli(BernoulliFamily):
    r"""A Bernoulli variable whose backward pass is that of its probability.

    With $U \sim \mathrm{Uniform}(0, 1)$,

    $$c = 1[U < \pi].$$

    Density with respect to counting measure on {0, 1}: $p(1) = \pi$, $p(0) = 1 - \pi$.

    `harden(c)` is the value itself, Bernoulli($\pi$).

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: straight-through. `rsample` returns exactly 0 or 1, `log_prob` scores that under
    Bernoulli($\pi$), and the backward pass is that of $\pi$: unbiased for linear objectives only.

    Args:
        probs: $\pi$ in (0, 1); not clamped.
        logits: log-odds of $\pi$, finite.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> probs = torch.tensor([0.2, 0.7], requires_grad=True)
        >>> rt.StraightThroughBernoulli(probs).rsample((100,)).sum().backward()
        >>> probs.grad
        tensor([100., 100.])

    References:
        Bengio, Léonard, Courville (2013), section 4; Cheng et al. (2019).
    """

    support = constraints.boolean
    base_noise = staticmethod(noise.uniform)
    hard = True

    def __init__(
        self,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(exactly_one_of(probs=probs, logits=logits), validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        return self.probs

    def _relax_hard(self, noise: Tensor) -> Tensor:
        return bernoulli(self.probs, noise)
