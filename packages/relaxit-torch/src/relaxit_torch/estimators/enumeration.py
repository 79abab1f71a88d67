"""The exact gradient."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.estimators.discrete import DiscreteVariable, Function

MAX_STATES = 65_536
"""How many states of an event are enumerated at most, unless more are allowed."""


def exact(distribution: Distribution, f: Function, *, max_states: int = MAX_STATES) -> Tensor:
    r"""The expectation itself, by enumeration: $\sum_z p(z) f(z)$ over all values $z$ of an event.

    Unbiased, without variance. Evaluations of `f`: one for each state, $K^n$ for $n$ variables of
    $K$ categories. `f` need not be differentiable.

    Args:
        distribution: see `relaxit_torch.estimators`.
        f: is called once, on `(states, *batch, *event)`.
        max_states: more states than this are refused.

    Raises:
        TypeError, ValueError: what all estimators refuse; see `relaxit_torch.estimators`.
        ValueError: an event of more than `max_states` states.

    Example:
        >>> import torch
        >>> from torch.distributions import OneHotCategorical
        >>> from relaxit_torch.estimators import exact
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> payoff = torch.tensor([0.0, 1.0, 2.0, 5.0])
        >>> expected = exact(OneHotCategorical(logits=logits), lambda z: z @ payoff)
        >>> expected
        tensor(2., grad_fn=<SumBackward1>)
        >>> expected.backward()
        >>> logits.grad  # p_k (f_k - 2)
        tensor([-0.5000, -0.2500,  0.0000,  0.7500])
    """
    variable = DiscreteVariable.of(distribution)
    states = variable.states(max_states)
    probs = variable.log_prob_of_states(states).exp()  # (states, *batch)
    batched = states.reshape(
        len(states), *(1,) * len(variable.batch_shape), *variable.event_shape
    ).expand(len(states), *variable.batch_shape, *variable.event_shape)
    return (probs * variable.evaluate(f, batched)).sum(0)
