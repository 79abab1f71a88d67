from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import check
from relaxit_torch.core.families import RowsFamily
from relaxit_torch.core.parameters import exactly_one_of
from relaxit_torch.core.relaxed_distribution import DiscreteDistribution
from relaxit_torch.distributions.rows import without_earlier_choices
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import hardmax
from relaxit_torch.numerics.quadrature import log_product_integral


class PlackettLuce(DiscreteDistribution, RowsFamily):
    r"""Plackett-Luce: an ordered sample of $k$ categories without replacement, as one-hot rows.

    With independent $g_i \sim \mathrm{Gumbel}(0, 1)$,

    $$b_j = \operatorname{onehot}(i_j), \qquad
      i_j = \operatorname{argmax}_{i \notin \{i_1, \dots, i_{j-1}\}} (\log \pi_i + g_i).$$

    Density with respect to counting measure on the arrangements of $k$ categories:

    $$\log p(b) = \sum_{j=1}^k \left[\log \pi_{i_j}
      - \log \sum_{i \notin \{i_1, \dots, i_{j-1}\}} \pi_i\right].$$

    A category with `logits = -inf` is never drawn.

    Shapes: parameters `(*batch, K)`, `batch_shape` `batch`, `event_shape` `(k, K)`.

    Gradient: none of a sample; see `GumbelSoftmaxTopK`. Those of `log_prob` and `subset_log_prob`
    are exact.

    Args:
        k: how many categories are drawn, of which at least as many are possible.
        probs: $\pi$ on the simplex; not clamped.
        logits: unnormalised $\log \pi$; -inf for a category that is never drawn.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> draw = rt.PlackettLuce(2, torch.tensor([0.5, 0.3, 0.2]))
        >>> draw.log_prob(torch.tensor([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])).exp()  # 0.5 * 0.3 / 0.5
        tensor(0.3000)
        >>> draw.subset_log_prob(torch.tensor([1.0, 1.0, 0.0])).exp()  # in either order
        tensor(0.5143)

    References:
        Plackett (1975); Kool, van Hoof, Welling (2019), section 2; for subsets Kool, van Hoof,
        Welling (2020), appendix B.
    """

    arg_constraints: ClassVar[dict[str, Any]] = RowsFamily.arg_constraints
    support = constraints.arrangement
    base_noise = staticmethod(noise.gumbel)

    def __init__(
        self,
        k: int,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        super().__init__(k, exactly_one_of(probs=probs, logits=logits), validate_args=validate_args)

    def _relax(self, noise: Tensor) -> Tensor:
        scores = (self.logits + noise).unsqueeze(-2)
        scores = scores.expand(*scores.shape[:-2], *self.event_shape)
        return hardmax(without_earlier_choices(scores))

    def _log_prob(self, value: Tensor) -> Tensor:
        khot = value.sum(-2)
        chosen = (value * torch.where(self.possible, self.logits, 0).unsqueeze(-2)).sum(-1)
        # What is left after each row is added up from the last: nothing is subtracted from 1.
        left = torch.cat([self._log_left(khot).unsqueeze(-1), chosen.flip(-1)], -1)
        left = left.logcumsumexp(-1)[..., :-1].flip(-1)
        log_prob = logsigmoid(chosen - left).sum(-1)
        return torch.where(self._contradicted(khot), -torch.inf, log_prob)

    def subset_log_prob(self, khot: Tensor) -> Tensor:
        r"""The log-probability that the categories of `khot` are drawn, in any order.

        $$P(S) = \int_0^1 \prod_{i \in S} (1 - u^{w_i})\, du, \qquad
          w_i = \frac{\pi_i}{\sum_{l \notin S} \pi_l},$$

        by quadrature that is precise to rounding whatever the orders of magnitude of the $w_i$, and
        differentiable. Memory: a few hundred times `k` numbers for each element of the batch.

        Args:
            khot: `(*sample_shape, *batch_shape, K)`, `k` ones among zeros.

        Raises:
            ValueError: with validation, another number of ones; always, a wrong event shape.
        """
        self._check_shape("khot", khot, self.event_shape[1:])
        if self._validate_args:
            check("khot", khot, constraints.Subset(self.k))
        return self._evaluate("_subset_log_prob", khot)

    def _subset_log_prob(self, khot: Tensor) -> Tensor:
        left = self._log_left(khot)
        logits = torch.where(self.possible, self.logits, 0).expand(*left.shape, -1)
        drawn = logits.gather(-1, khot.expand_as(logits).topk(self.k).indices)
        log_prob = log_product_integral(drawn - left.unsqueeze(-1))
        everything = (~self.possible | (khot > 0)).all(-1)
        log_prob = torch.where(everything, 0, log_prob)
        return torch.where(self._contradicted(khot), -torch.inf, log_prob)

    def _log_left(self, khot: Tensor) -> Tensor:
        """The logarithm of the mass of what is not drawn; a finite number where that is 0."""
        logits = self.logits.masked_fill(~self.possible | (khot > 0), -torch.inf)
        return logits.logsumexp(-1).clamp(min=torch.finfo(logits.dtype).min / 2)

    def _mode(self) -> Tensor:
        order = self.logits.sort(stable=True, descending=True).indices[..., : self.k]
        one_hot = self.logits.new_zeros(self.batch_shape + self.event_shape)
        return one_hot.scatter(-1, order.unsqueeze(-1), 1.0)
