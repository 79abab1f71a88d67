from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions.constraints import dependent_property

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import RowsFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.core.relaxed_distribution import Shape
from relaxit_torch.distributions import rows
from relaxit_torch.distributions.exp_gumbel_softmax import scores
from relaxit_torch.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_torch.distributions.plackett_luce import PlackettLuce
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.straight_through import straight_through
from relaxit_torch.numerics.top_k import greatest, hardmax


class GumbelSoftmaxTopK(RowsFamily):
    r"""Gumbel-Softmax Top-K: a relaxed sample of $k$ categories without replacement.

    With independent $g_i \sim \mathrm{Gumbel}(0, 1)$, row by row,

    $$c_j = \operatorname{softmax}\left(\frac{\log \pi^{(j)} + g}{\tau}\right), \qquad
      \pi^{(j)}_i = \begin{cases} 0 & i \in \{i_1, \dots, i_{j-1}\} \\
      \pi_i & \text{otherwise} \end{cases}, \qquad i_j = \operatorname{argmax}_i c_{ji}.$$

    With `independent_noise=True` each row has Gumbel variables of its own.

    Density with respect to Lebesgue measure on the first $K - 1$ coordinates of the first row, of
    which the other rows are functions: that of `GumbelSoftmax` at the first row, and zero where
    other rows do not follow from it (up to the rounding of the dtype). With `independent_noise` the
    product of those of all rows, on the categories that are left to each.

    `harden(c)` is the one-hot argmax of each row, exactly the `discrete` PlackettLuce($k$, $\pi$) at
    every temperature, with either noise.

    Shapes: parameters `(*batch, K)`, `batch_shape` `batch`, `event_shape` `(k, K)`, noise
    `(K,)` or `(k, K)`.

    Gradient: pathwise, with the masks held fixed. They are hard: later rows jump where an earlier
    argmax changes, so that the gradient of a function of those is biased at every temperature. With
    `hard=True`, `rsample` returns one-hot rows, `log_prob` scores them under PlackettLuce, and the
    backward pass is that of the relaxed rows (straight-through, biased).

    Args:
        k: how many categories are drawn, of which at least as many are possible.
        temperature: $\tau > 0$, a number or a tensor of the batch shape.
        probs: $\pi$ on the simplex; not clamped.
        logits: unnormalised $\log \pi$; -inf for a category that is never chosen.
        hard: sample the one-hot rows themselves.
        independent_noise: draw Gumbel variables for each row, not one vector for all.
        validate_args: see `RelaxedDistribution`, as for what is raised.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> relaxed = rt.GumbelSoftmaxTopK(2, 0.5, logits=torch.zeros(3, 5))
        >>> relaxed.rsample().shape
        torch.Size([3, 2, 5])
        >>> torch.allclose(relaxed.rsample_khot().sum(-1), torch.tensor(2.0))
        True

    References:
        Kool, van Hoof, Welling (2019), section 2; with soft masks Xie, Ermon (2019), section 3.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        **RowsFamily.arg_constraints,
        "temperature": constraints.positive,
    }
    noise_law = staticmethod(noise.gumbel)
    switches = ("hard", "independent_noise")
    temperature: Parameter

    def __init__(
        self,
        k: int,
        temperature: Parameter,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        hard: bool = False,
        independent_noise: bool = False,
        validate_args: bool | None = None,
    ) -> None:
        self.independent_noise = independent_noise
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        super().__init__(k, parameters, hard=hard, validate_args=validate_args)

    @dependent_property(is_discrete=False, event_dim=2)
    def support(self) -> Any:
        return constraints.arrangement if self.hard else constraints.simplex_rows

    @property
    def discrete(self) -> PlackettLuce:
        return PlackettLuce(self.k, logits=self.logits, validate_args=self._validate_args)

    def harden(self, value: Tensor) -> Tensor:
        return rows.harden(value)

    def khot(self, value: Tensor) -> Tensor:
        """The relaxed indicator of the drawn categories, the sum of the rows: `(*shape, K)`."""
        return value.sum(-2)

    def rsample_khot(self, sample_shape: Shape = ()) -> Tensor:
        """`khot(rsample(sample_shape))` of the same noise, without the rows where they share it.

        Costs a softmax and a top-k, whatever `k` is. Shape `(*sample_shape, *batch_shape, K)`.
        """
        return self.relax_khot(self._working.noise(sample_shape))

    def relax_khot(self, noise: Tensor) -> Tensor:
        """`khot(relax(noise))`, as `rsample_khot` computes it."""
        if self.independent_noise:
            return self.khot(self.relax(noise))
        self._check_shape("noise", noise, self._noise_event_shape)
        working = self._working
        return working._relax_khot(noise.to(working.dtype)).to(self.dtype)

    def _relax_khot(self, noise: Tensor) -> Tensor:
        score = scores(self._rows(), noise.unsqueeze(-2)).squeeze(-2)
        order = greatest(score, self.k)
        soft = rows.sum_of_softmaxes(score, order)
        if not self.hard:
            return soft
        return straight_through(torch.zeros_like(soft).scatter(-1, order, 1.0), soft)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self._masked_scores(noise), -1)

    def _relax_hard(self, noise: Tensor, soft: Tensor) -> Tensor:
        # Not from `soft`, which at a high temperature is rounded to ties.
        of_rows = noise if self.independent_noise else noise.unsqueeze(-2)
        score = self.logits.unsqueeze(-2) + of_rows
        masked = rows.without_earlier_choices(score.expand(*score.shape[:-2], *self.event_shape))
        return hardmax(masked)

    def _log_prob(self, value: Tensor) -> Tensor:
        hard = self.harden(value)
        taken = hard.cumsum(-2) > hard
        if self.independent_noise:
            return self._rows(taken)._log_prob(value).sum(-1)
        density = self._rows()._log_prob(value[..., :1, :]).squeeze(-1)
        return torch.where(
            rows.follow_from_first(value, taken, self.storage_dtype), density, -torch.inf
        )

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        if not self.independent_noise:
            return self._rows()._log_prob_from_noise(noise.unsqueeze(-2)).squeeze(-1)
        taken = self._masked_scores(noise) == -torch.inf
        return self._rows(taken)._log_prob_from_noise(noise).sum(-1)

    def _log_mass(self, value: Tensor) -> Tensor:
        # Linear in each row, given those before it: its logarithms are those of its entries.
        logits = torch.where(self.possible, self.logits, 0).unsqueeze(-2)
        linear = ((value - value.detach()) * logits).sum((-2, -1))
        return self.discrete.log_prob(value.detach()) + linear

    def _masked_scores(self, noise: Tensor) -> Tensor:
        of_rows = noise if self.independent_noise else noise.unsqueeze(-2)
        score = scores(self._rows(), of_rows)
        return rows.without_earlier_choices(score.expand(*score.shape[:-2], *self.event_shape))

    def _rows(self, taken: Tensor | None = None) -> GumbelSoftmax:
        """The law of rows, one or all of them, on the categories that are left to each."""
        temperature, logits = self.temperature, self.logits.unsqueeze(-2)
        if isinstance(temperature, Tensor):
            temperature = temperature.unsqueeze(-1)
        if taken is not None:
            logits = logits.masked_fill(taken, -torch.inf)
        law = GumbelSoftmax(temperature, logits=logits, validate_args=False)
        law.storage_dtype = self.storage_dtype
        return law

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self.event_shape if self.independent_noise else self.event_shape[1:]


@kl.exact(GumbelSoftmaxTopK, GumbelSoftmaxTopK)
def _kl(p: GumbelSoftmaxTopK, q: GumbelSoftmaxTopK) -> Tensor:
    """That of the first rows, of which the others are functions; none with rows of own noise."""
    if p.hard or q.hard or p.independent_noise or q.independent_noise:
        raise kl.no_exact_form(p, q)
    kl.require_equal("k", p.k, q.k)
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl.of_concrete(p.logits, q.logits)
