from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.distributions.constraints import dependent_property

from relaxit_torch import constraints, divergences, noise
from relaxit_torch.distributions.exp_gumbel_softmax import scores
from relaxit_torch.distributions.gumbel_softmax import GumbelSoftmax
from relaxit_torch.distributions.plackett_luce import PlackettLuce, without_earlier_choices
from relaxit_torch.families import RowsFamily
from relaxit_torch.parameters import Parameter, exactly_one_of
from relaxit_torch.relaxed_distribution import Shape
from relaxit_torch.straight_through import straight_through


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
        # The argmax; of entries that round to the same, that which the next row lacks.
        following = torch.cat([value[..., 1:, :], torch.zeros_like(value[..., :1, :])], -2)
        choices = (value - following).argmax(-1, keepdim=True)
        return torch.zeros_like(value).scatter(-1, choices, 1.0)

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
        top, others = score.gather(-1, order), score.scatter(-1, order, -torch.inf)
        least = top[..., -1:]
        weight = (others - least).exp()
        # Z_j, what normalises row j, is added up from the last row: subtracting what was taken
        # would leave nothing of it. An entry is exp(score) times the sum of 1 / Z_j over the rows
        # that have it. In float64, as scores of 10^4 have three digits after the point in float32.
        wide, last = top.double(), weight.sum(-1, keepdim=True).double().log1p() + least.double()
        log_normaliser = torch.cat([last, wide[..., :-1].flip(-1)], -1).logcumsumexp(-1).flip(-1)
        log_inverse = (-log_normaliser).logcumsumexp(-1)
        drawn = (wide + log_inverse).exp().to(score.dtype)
        soft = (weight * drawn[..., -1:]).scatter(-1, order, drawn)
        if not self.hard:
            return soft
        return straight_through(torch.zeros_like(soft).scatter(-1, order, 1.0), soft)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self._masked_scores(noise), -1)

    def _log_prob(self, value: Tensor) -> Tensor:
        hard = self.harden(value)
        taken = hard.cumsum(-2) > hard
        if self.independent_noise:
            return self._rows(taken)._log_prob(value).sum(-1)
        density = self._rows()._log_prob(value[..., :1, :]).squeeze(-1)
        return torch.where(self._follow_from_first(value, taken), density, -torch.inf)

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
        return without_earlier_choices(score.expand(*score.shape[:-2], *self.event_shape))

    def _rows(self, taken: Tensor | None = None) -> GumbelSoftmax:
        """The law of rows, one or all of them, on the categories that are left to each."""
        temperature, logits = self.temperature, self.logits.unsqueeze(-2)
        if isinstance(temperature, Tensor):
            temperature = temperature.unsqueeze(-1)
        if taken is not None:
            logits = logits.masked_fill(taken, -torch.inf)
        rows = GumbelSoftmax(temperature, logits=logits, validate_args=False)
        rows.storage_dtype = self.storage_dtype
        return rows

    def _follow_from_first(self, value: Tensor, taken: Tensor) -> Tensor:
        """Whether each row is the one before it without its greatest entry, normalised again.

        A softmax has the relative error of its exponentials: an ulp of their arguments, which go as
        far as the logarithm of the smallest number. Four of these, and of the ulps of what is
        stored. What underflowed is lost to the entry and, once for each, to the sum.
        """
        stored, worked = torch.finfo(self.storage_dtype), torch.finfo(value.dtype)
        relative = 4 * (stored.eps - worked.eps * math.log(stored.tiny * stored.eps))
        lost = worked.tiny + stored.tiny * stored.eps
        taken, after = taken[..., 1:, :], value[..., 1:, :]
        before = value[..., :-1, :].masked_fill(taken, 0)
        expected = after * before.sum(-1, keepdim=True)
        allowed = relative * torch.maximum(before, expected)
        allowed = allowed + lost * (1 + value.shape[-1] * after)
        follows = ((before - expected).abs() <= allowed) & (~taken | (after == 0))
        return follows.all(-1).all(-1)

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self.event_shape if self.independent_noise else self.event_shape[1:]


def greatest(score: Tensor, k: int) -> Tensor:
    """Where the `k` greatest are, in descending order; of equal ones the first, as in argmax."""
    score = score.detach()
    # One more than k, so that the order of the last of them is right too.
    candidates = score.topk(min(k + 1, score.shape[-1])).indices.sort(-1).values
    order = score.gather(-1, candidates).argsort(-1, descending=True, stable=True)
    return candidates.gather(-1, order)[..., :k]


@divergences.exact(GumbelSoftmaxTopK, GumbelSoftmaxTopK)
def _kl(p: GumbelSoftmaxTopK, q: GumbelSoftmaxTopK) -> Tensor:
    """That of the first rows, of which the others are functions; none with rows of own noise."""
    if p.hard or q.hard or p.independent_noise or q.independent_noise:
        divergences.no_exact_form(p, q)
    divergences.require_equal("k", p.k, q.k)
    divergences.require_equal("temperatures", p.temperature, q.temperature)
    return divergences.of_concrete(p.logits, q.logits)
