"""What the estimators need of a discrete variable, one-hot or binary alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.distributions import Bernoulli, Distribution, Independent, OneHotCategorical
from torch.nn.functional import one_hot, softplus

from relaxit_torch.core import constraints
from relaxit_torch.core.constraints import Region, check
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.kernels import hardmax

Function = Callable[[Tensor], Tensor]
"""Maps samples `(*samples, *batch, *event)` to values `(*samples, *batch)`."""


@dataclass(frozen=True)
class DiscreteVariable:
    """One-hot or binary variables of which an event has as many as it likes.

    Values are of shape `(*samples, *batch, *event)`; sums over an event leave `(*samples, *batch)`.
    """

    logits: Tensor
    """Log-probabilities `(*batch, *event)`, the last dimension of size K; or log-odds."""
    one_hot: bool
    batch_shape: torch.Size
    event_shape: torch.Size
    validate_args: bool
    dtype: torch.dtype
    """Of the samples that `f` is given; noise and logits are of at least float32, as ties of scores
    in half precision would favour some categories."""

    @classmethod
    def of(cls, distribution: Distribution, *, differentiable: bool = True) -> DiscreteVariable:
        """The variable of a distribution.

        Raises:
            TypeError: neither one-hot nor binary.
            ValueError: logits without a gradient, unless not `differentiable`; with validation,
                logits that are not finite.
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

    def evaluate(self, f: Function, value: Tensor, *, name: str = "f") -> Tensor:
        """`f(value)`, one number for each event of `value`.

        Raises:
            TypeError, ValueError: another result.
        """
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

    def differentiate(self, f: Function, value: Tensor, *, name: str = "f") -> Tensor:
        """The same for an estimator that differentiates `f`.

        Raises:
            ValueError: no path leads back from the result.
        """
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
        """A tensor of the batch shape, with dimensions of size 1 for those of an event."""
        return tensor[(...,) + (None,) * len(self.event_shape)]

    def tempered(self, temperature: Parameter, *, name: str = "temperature") -> Tensor:
        """The logits divided by a temperature, a number or a tensor of one for each variable."""
        return self.divided(self.logits, temperature, name=name)

    def divided(
        self, tensor: Tensor, temperature: Parameter, *, name: str = "temperature"
    ) -> Tensor:
        """Logits or scores divided by a temperature, which is checked."""
        temperature = self.checked_temperature(temperature, name=name)
        if self.one_hot and isinstance(temperature, Tensor):
            temperature = temperature.unsqueeze(-1)
        return tensor / temperature

    def checked_temperature(
        self, temperature: Parameter, *, name: str = "temperature"
    ) -> Parameter:
        """A number, or a tensor of one for each variable; see `checked`."""
        shape = self.logits.shape[:-1] if self.one_hot else self.logits.shape
        return self.checked(name, temperature, constraints.positive, shape, "the variables'")

    def checked(
        self, name: str, option: Parameter, region: Region, shape: torch.Size, whose: str
    ) -> Parameter:
        """An option as it is: numbers and shapes are always checked, entries with validation.

        Raises:
            ValueError: outside the region, or a shape that does not broadcast to `shape`.
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
        # Not as a tensor, which would be made on the CPU and asked for its value.
        elif not (math.isfinite(option) and (option > 0 or region is constraints.real)):
            check(name, option, region)
        return option

    def squash(self, scores: Tensor) -> Tensor:
        """Softmax or sigmoid."""
        return torch.softmax(scores, -1) if self.one_hot else torch.sigmoid(scores)

    @property
    def probs(self) -> Tensor:
        """The probabilities of the categories, or of 1."""
        return self.squash(self.logits)

    def harden(self, scores: Tensor) -> Tensor:
        """The discrete value of scores: their greatest one, or whether they are positive."""
        if self.one_hot:
            return hardmax(scores)
        return (scores > 0).to(scores.dtype)

    def noise(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Gumbel noise for logits of categories, logistic noise for log-odds."""
        law = noise.gumbel if self.one_hot else noise.logistic
        shape = torch.Size(sample_shape) + self.logits.shape
        return law(shape, dtype=self.logits.dtype, device=self.logits.device)

    def sample(self, sample_shape: Sequence[int] = ()) -> Tensor:
        """Samples, without gradient."""
        return self.harden(self.logits.detach() + self.noise(sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        """The log-probability of discrete values, differentiable in the logits."""
        log_prob = value * self.logits
        return self.sum_event(log_prob if self.one_hot else log_prob - softplus(self.logits))

    def jacobian(self, probs: Tensor) -> Tensor:
        """A tensor whose derivative is that of `probs` with respect to their own logits.

        That is `diag(q) - q q^T` for categories, `q (1 - q)` for 0 and 1.
        """
        probs = probs.detach()
        if not self.one_hot:
            return probs * (1 - probs) * self.logits
        return probs * (self.logits - (probs * self.logits).sum(-1, keepdim=True))

    def states(self, limit: int) -> Tensor:
        """All values of an event, `(states, *event)`.

        Raises:
            ValueError: more than `limit`.
        """
        categories = self.event_shape[-1] if self.one_hot else 2
        variables = self.event_shape[:-1].numel() if self.one_hot else self.event_shape.numel()
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

    def log_prob_of_states(self, states: Tensor) -> Tensor:
        """The log-probabilities of all states for all batch elements, `(states, *batch)`."""
        # A product of matrices: no state is copied for every batch element.
        logits = self.logits.reshape(*self.batch_shape, -1)
        log_prob = (logits @ states.reshape(len(states), -1).mT).movedim(-1, 0)
        return log_prob if self.one_hot else log_prob - softplus(logits).sum(-1)


def attach(value: Tensor, path: Tensor) -> Tensor:
    """Returns `value` exactly, with the gradient of `path` added to its own."""
    return value + (path - path.detach()).to(value.dtype)
