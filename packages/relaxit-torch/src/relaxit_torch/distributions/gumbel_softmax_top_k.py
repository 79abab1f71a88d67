from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from relaxit_torch.core import constraints, kl
from relaxit_torch.core.families import RowsFamily
from relaxit_torch.core.parameters import Parameter, exactly_one_of
from relaxit_torch.core.relaxed_distribution import Shape
from relaxit_torch.distributions import rows
from relaxit_torch.distributions.concrete import (
    kl_of_categories,
    log_density,
    log_density_from_noise,
)
from relaxit_torch.distributions.plackett_luce import PlackettLuce
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import hardmax, log_interior, straight_through
from relaxit_torch.numerics.temperature import tempered
from relaxit_torch.numerics.top_k import sum_of_softmaxes, top_k_indices


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
    support = constraints.simplex_rows
    hard_support = constraints.arrangement
    base_noise = staticmethod(noise.gumbel)
    temperature: Parameter
    independent_noise: bool

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
        parameters = exactly_one_of(probs=probs, logits=logits)
        parameters["temperature"] = temperature
        super().__init__(
            k,
            parameters,
            hard=hard,
            independent_noise=independent_noise,
            validate_args=validate_args,
        )

    def _discrete(self) -> PlackettLuce:
        return PlackettLuce(self.k, logits=self.logits, validate_args=self._validate_args)

    def _harden(self, value: Tensor) -> Tensor:
        return rows.harden(value)

    def khot(self, value: Tensor) -> Tensor:
        """The relaxed indicator of the drawn categories, the sum of the rows: `(*shape, K)`."""
        return value.sum(-2)

    def rsample_khot(self, sample_shape: Shape = ()) -> Tensor:
        """`khot(rsample(sample_shape))` of the same noise, without the rows where they share it.

        Costs a softmax and a top-k, whatever `k` is. Shape `(*sample_shape, *batch_shape, K)`.
        """
        return self.relax_khot(self._in_float32().noise(sample_shape))

    def relax_khot(self, noise: Tensor) -> Tensor:
        """`khot(relax(noise))`, as `rsample_khot` computes it."""
        self._check_shape("noise", noise, self._noise_event_shape)
        return self._evaluate("_relax_khot", noise)

    def _relax_khot(self, noise: Tensor) -> Tensor:
        if self.independent_noise:
            return self.khot(self._value(noise))
        score = tempered(self.logits + noise, self._per_row)
        order = top_k_indices(score, self.k)
        soft = sum_of_softmaxes(score, order)
        if not self.hard:
            return soft
        return straight_through(torch.zeros_like(soft).scatter(-1, order, 1.0), soft)

    def _relax(self, noise: Tensor) -> Tensor:
        return torch.softmax(self._masked_scores(noise), -1)

    def _relax_hard(self, noise: Tensor) -> Tensor:
        # Not from the relaxed rows, which at a high temperature are rounded to ties.
        hard = hardmax(
            self._without_earlier_choices(self.logits.unsqueeze(-2) + self._by_rows(noise))
        )
        return straight_through(hard, self._relax(noise))

    def _log_prob(self, value: Tensor) -> Tensor:
        hard = self._harden(value)
        taken = hard.cumsum(-2) > hard
        logits = self.logits.unsqueeze(-2)
        if self.independent_noise:
            return self._log_density(value, logits.masked_fill(taken, -torch.inf)).sum(-1)
        density = self._log_density(value[..., :1, :], logits).squeeze(-1)
        follows = rows.follow_from_first(value, taken, self._stored_dtype)
        return torch.where(follows, density, -torch.inf)

    def _log_density(self, value: Tensor, logits: Tensor) -> Tensor:
        """The Gumbel-Softmax density of each row, `(*shape, rows)`."""
        log_value = log_interior(value, self._stored_dtype)
        return log_density(log_value, value > 0, logits, self._per_row, log_value)

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        if self.independent_noise:
            score = self._masked_scores(noise)
            logits = self.logits.unsqueeze(-2).masked_fill(score == -torch.inf, -torch.inf)
        else:  # the first row is enough
            noise, logits = noise.unsqueeze(-2), self.logits.unsqueeze(-2)
            score = tempered(logits + noise, self._per_event(self.temperature))
        log_value = torch.log_softmax(score, -1)
        return log_density_from_noise(noise, logits, self._per_row, log_value).sum(-1)

    def _log_mass(self, value: Tensor) -> Tensor:
        # Linear in each row, given those before it: its logarithms are those of its entries.
        logits = torch.where(self.possible, self.logits, 0).unsqueeze(-2)
        linear = ((value - value.detach()) * logits).sum((-2, -1))
        return self._discrete().log_prob(value.detach()) + linear

    def _masked_scores(self, noise: Tensor) -> Tensor:
        score = self.logits.unsqueeze(-2) + self._by_rows(noise)
        return self._without_earlier_choices(tempered(score, self._per_event(self.temperature)))

    def _without_earlier_choices(self, score: Tensor) -> Tensor:
        """Scores of each row, with -inf where an earlier row has its largest one."""
        return rows.without_earlier_choices(score.expand(*score.shape[:-2], *self.event_shape))

    @property
    def _per_row(self) -> Parameter:
        """The temperature of each row, `(*batch, 1)`, or a number."""
        temperature = self.temperature
        return temperature.unsqueeze(-1) if isinstance(temperature, Tensor) else temperature

    def _by_rows(self, noise: Tensor) -> Tensor:
        """The noise of each row, `(*shape, k, K)` or the one for all, `(*shape, 1, K)`."""
        return noise if self.independent_noise else noise.unsqueeze(-2)

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self.event_shape if self.independent_noise else self.event_shape[1:]


@kl.exact(GumbelSoftmaxTopK, GumbelSoftmaxTopK)
def _kl(p: GumbelSoftmaxTopK, q: GumbelSoftmaxTopK) -> Tensor:
    """The first rows decide, of which the others are functions; none with rows of own noise."""
    if p.independent_noise or q.independent_noise:
        raise kl.no_exact_form(p, q)
    kl.require_equal("k", p.k, q.k)
    kl.require_equal("temperatures", p.temperature, q.temperature)
    return kl_of_categories(p.logits, q.logits)
