from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core import constraints
from relaxit_torch.core.families import BernoulliFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import root_gate


class StochasticTimesSmooth(BernoulliFamily):
    r"""A stochastic gate times a smooth one: 0, or the square root of its mean.

    With $U \sim \mathrm{Uniform}(0, 1)$,

    $$c = 1[U < \sqrt p]\, \sqrt p.$$

    Density with respect to counting measure on $\{0, \sqrt p\}$:
    $p(\sqrt p) = \sqrt p$, $p(0) = 1 - \sqrt p$. Values are compared with $\sqrt p$ up to rounding;
    all others score -inf.

    `discrete` is Bernoulli($p$), matched in mean but not in law, so that no value can be hardened.

    Shapes: `batch_shape` is that of the parameters, `event_shape` is `()`.

    Gradient: through the smooth factor only. Of a linear objective it has half the true size: the
    other half belongs to the gate, which is not differentiated.

    Args:
        probs: $p$ in (0, 1), the mean; not clamped.
        logits: log-odds of $p$, finite.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> gate = rt.StochasticTimesSmooth(probs=torch.tensor(0.25))
        >>> gate.relax(torch.tensor([0.4, 0.6]))
        tensor([0.5000, 0.0000])

    References:
        Bengio, Léonard, Courville (2013), section 3.2.
    """

    support = constraints.unit_interval
    base_noise = staticmethod(noise.uniform)

    def __init__(
        self,
        probs: Parameter | None = None,
        logits: Parameter | None = None,
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(exactly_one_of(probs=probs, logits=logits), validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        if "probs" in self._given:
            return root_gate(self.probs, noise, False)
        return root_gate(self.logits, noise, True)

    def _harden(self, value: Tensor) -> Tensor:
        raise self._lacks("hardening map")

    def _log_prob(self, value: Tensor) -> Tensor:
        log_root = self._log_root()
        root = log_root.exp()
        limits = torch.finfo(self._stored_dtype)
        near = (value - root).abs() <= 8 * limits.eps * (root + limits.tiny)
        at_root = torch.where(near, log_root, -torch.inf)
        return torch.where(value == 0, self._log_prob_of_0(), at_root)

    def _mean(self) -> Tensor:
        return self.probs

    def _variance(self) -> Tensor:
        root = self._log_root().exp()
        return self.probs * torch.sigmoid(-self.logits) * root / (1 + root)

    def _entropy(self) -> Tensor:
        log_root, log_0 = self._log_root(), self._log_prob_of_0()
        return -log_root.exp() * log_root - log_0.exp() * log_0

    def _log_root(self) -> Tensor:
        """`log sqrt(p)`, `(*batch)`."""
        return 0.5 * logsigmoid(self.logits)

    def _log_prob_of_0(self) -> Tensor:
        # 1 - sqrt(p) = (1 - p) / (1 + sqrt(p)) keeps its digits near p = 1.
        return logsigmoid(-self.logits) - self._log_root().exp().log1p()
