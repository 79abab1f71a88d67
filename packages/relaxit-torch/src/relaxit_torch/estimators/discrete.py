"""The discrete variable of an estimator: one-hot or binary, with the same methods for both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical
from torch.nn.functional import logsigmoid, one_hot, softplus

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import Region, check
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import hardmax
from relaxit_torch.numerics.temperature import tempered

SampleFunction = Callable[[Tensor], Tensor]
"""Maps samples `(*samples, *batch, *event)` to values `(*samples, *batch)`."""


@dataclass(frozen=True)
class DiscreteVariable:
    """A batch of events, each of any number of one-hot or binary variables.

    Samples have the shape `(*samples, *batch, *event)`.
    """

    logits: Tensor
    """`(*batch, *event)`, in at least float32, because half precision gives ties between scores.
    One-hot: log-probabilities, with K categories in the last dimension. Binary: log-odds."""
    one_hot: bool
    batch_shape: torch.Size
    event_shape: torch.Size
    validate_args: bool
    dtype: torch.dtype
    """The dtype of the samples that `f` gets."""

    @classmethod
    def of(cls, distribution: Distribution, *, differentiable: bool = True) -> DiscreteVariable:
        """The variable of a distribution; raises as `relaxit_torch.estimators` says.

        Logits without gradient are accepted if `differentiable` is false.
        """
        base: Any = distribution
        while isinstance(base, Independent):
            base = base.base_dist
        if not isinstance(base, OneHotCategorical | Bernoulli):
            raise TypeError(
                "distribution must be a OneHotCategorical or Bernoulli, or Independent of one, "
                f"but got {distribution!r}"
            )
        logits: Tensor = base.logits
        if differentiable and torch.is_grad_enabled() and not logits.requires_grad:
            raise ValueError(
                "distribution must have logits that require a gradient, "
                f"but got requires_grad=False in {distribution!r}"
            )
        validate = bool(base._validate_args)
        if validate:
            check("logits", logits, constraints.real)
        one_hot = isinstance(base, OneHotCategorical)
        dtype = logits.dtype
        logits = logits.to(torch.promote_types(dtype, torch.float32))
        return cls(
            torch.log_softmax(logits, -1) if one_hot else logits,
            one_hot,
            distribution.batch_shape,
            distribution.event_shape,
            validate,
            dtype,
        )

    def evaluate(self, f: SampleFunction, value: Tensor, *, name: str = "f") -> Tensor:
        """`f(value)`, one number for each event. Another result raises TypeError or ValueError."""
        found = f(value.to(self.dtype))
        if not isinstance(found, Tensor):
            raise TypeError(f"{name} must return a tensor, but got {found!r}")
        expected = value.shape[: value.dim() - len(self.event_shape)]
        if found.shape != expected:
            raise ValueError(
                f"{name} must return a value for each batch element, of shape {tuple(expected)} "
                f"for samples of shape {tuple(value.shape)}, but got shape {tuple(found.shape)}"
            )
        return found

    def differentiate(self, f: SampleFunction, value: Tensor, *, name: str = "f") -> Tensor:
        """`evaluate`, but a result without gradient raises ValueError."""
        found = self.evaluate(f, value, name=name)
        if value.requires_grad and not found.requires_grad:
            raise ValueError(
                f"{name} must be differentiable in the sample for this estimator, "
                "but got a value without gradient"
            )
        return found

    def sum_event(self, tensor: Tensor) -> Tensor:
        """The sum over the entries of each event."""
        if not self.event_shape:
            return tensor
        return tensor.flatten(-len(self.event_shape)).sum(-1)

    def per_event(self, tensor: Tensor) -> Tensor:
        """Appends dimensions of size 1, to broadcast `batch` against `(*batch, *event)`."""
        return tensor[(...,) + (None,) * len(self.event_shape)]

    def divided(
        self, scores: Tensor, temperature: Parameter, *, name: str = "temperature"
    ) -> Tensor:
        """Scores divided by a temperature, which is checked."""
        self.check_temperature(temperature, name=name)
        if self.one_hot and isinstance(temperature, Tensor):
            temperature = temperature.unsqueeze(-1)
        return tempered(scores, temperature)

    def check_temperature(self, temperature: Parameter, *, name: str = "temperature") -> None:
        """Raises ValueError, unless positive and finite, with at most one entry per variable."""
        shape = self.logits.shape[:-1] if self.one_hot else self.logits.shape
        self.check_option(name, temperature, constraints.positive, shape, "the variables'")

    def check_option(
        self, name: str, option: Parameter, region: Region, shape: torch.Size, whose: str
    ) -> None:
        """Raises ValueError for an option outside `region`, or one that does not fit `shape`.

        Numbers and shapes are always checked, the entries of tensors only with validation.
        """
        if isinstance(option, Tensor):
            if self.validate_args:
                check(name, option, region)
            try:
                option.expand(shape)
            except RuntimeError:
                raise ValueError(
                    f"{name} must broadcast to {whose} shape {tuple(shape)}, "
                    f"but got shape {tuple(option.shape)}"
                ) from None
        # `check` would break the graph of torch.compile, so it only words the error.
        elif not (math.isfinite(option) and (option > 0 or region is constraints.real)):
            check(name, option, region)

    def squash(self, scores: Tensor) -> Tensor:
        """The softmax or sigmoid of scores."""
        return torch.softmax(scores, -1) if self.one_hot else torch.sigmoid(scores)

    @property
    def probs(self) -> Tensor:
        """The probabilities: of each category, or of 1."""
        return self.squash(self.logits)

    def harden(self, scores: Tensor) -> Tensor:
        """The discrete value of scores: the category of the largest, or 1 where positive."""
        if self.one_hot:
            return hardmax(scores)
        return (scores > 0).to(scores.dtype)

    def draw_noise(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Gumbel noise for log-probabilities, logistic noise for log-odds."""
        draw = noise.gumbel if self.one_hot else noise.logistic
        shape = torch.Size(sample_shape) + self.logits.shape
        return draw(shape, dtype=self.logits.dtype, device=self.logits.device)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples, without gradient."""
        return self.harden(self.logits.detach() + self.draw_noise(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of discrete values, differentiable in the logits."""
        log_prob = value * self.logits
        return self.sum_event(log_prob if self.one_hot else log_prob - softplus(self.logits))

    def jacobian(self, probs: Tensor) -> Tensor:
        """A tensor with the derivative `diag(p) - p p^T` or `p (1 - p)` in the logits."""
        probs = probs.detach()
        if not self.one_hot:
            return probs * (1 - probs) * self.logits
        return probs * (self.logits - (probs * self.logits).sum(-1, keepdim=True))

    def states(self, limit: int) -> Tensor:
        """All values of an event, `(states, *event)`. More than `limit` raise ValueError."""
        variables, categories = self._event_size
        count = categories**variables
        if count > limit:
            raise ValueError(
                f"the states of an event must be at most max_states = {limit} to be enumerated, "
                f"but got {categories}^{variables} = {count}"
            )
        device = self.logits.device
        place = categories ** torch.arange(variables - 1, -1, -1, device=device)
        digits = torch.arange(count, device=device)[:, None] // place % categories
        values = one_hot(digits, categories) if self.one_hot else digits
        return values.to(self.logits.dtype).reshape(count, *self.event_shape)

    def log_prob_of_states(self) -> Tensor:
        """The log-probabilities of all `states`, `(states, *batch)`."""
        log_probs = self.logits
        if not self.one_hot:
            log_probs = torch.stack([logsigmoid(-self.logits), logsigmoid(self.logits)], -1)
        log_probs = log_probs.reshape(*self.batch_shape, *self._event_size)
        # Variable by variable: a matrix product would lose digits under autocast, and a sum over
        # all variables at once would copy the logits for every state.
        total = self.logits.new_zeros(*self.batch_shape, 1)
        for variable in log_probs.unbind(-2):
            total = (total.unsqueeze(-1) + variable.unsqueeze(-2)).flatten(-2)
        return total.movedim(-1, 0)

    @property
    def _event_size(self) -> tuple[int, int]:
        """The number of variables of an event, and the number of values of each."""
        if self.one_hot:
            return self.event_shape[:-1].numel(), self.event_shape[-1]
        return self.event_shape.numel(), 2


def attach(value: Tensor, path: Tensor) -> Tensor:
    """Returns `value` exactly, and adds the gradient of `path` to its gradient."""
    return value + (path - path.detach()).to(value.dtype)
