"""The exact gradient."""

from __future__ import annotations

from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction

MAX_STATES = 65_536
"""The default for the largest number of states that is enumerated."""


def exact(distribution: Distribution, f: SampleFunction, *, max_states: int = MAX_STATES) -> Tensor:
    r"""The expectation by enumeration: $\sum_z p(z) f(z)$ over all states $z$ of an event.

    Unbiased, without variance. Evaluations of `f`: one for each state. An event of $n$ variables
    with $K$ categories has $K^n$ states. `f` need not be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Called once, on all states `(states, *batch, *event)`.
        max_states: The largest number of states that is allowed.

    Raises:
        ValueError: An event has more than `max_states` states.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> payoff = torch.tensor([0.0, 1.0, 2.0, 5.0])
        >>> expected = rt.estimators.exact(categories, lambda z: z @ payoff)
        >>> expected
        tensor(2., grad_fn=<SumBackward1>)
        >>> expected.backward()
        >>> logits.grad  # p_k (f_k - 2)
        tensor([-0.5000, -0.2500,  0.0000,  0.7500])
    """
    variable = DiscreteVariable.of(distribution)
    states = variable.states(max_states)
    probs = variable.log_prob_of_states().exp()  # (states, *batch)
    batched = states.reshape(
        len(states), *(1,) * len(variable.batch_shape), *variable.event_shape
    ).expand(len(states), *variable.batch_shape, *variable.event_shape)
    return (probs * variable.evaluate(f, batched)).sum(0)
