"""The score function over samples without replacement."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core.parameters import check_count
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction, attach
from relaxit_torch.estimators.enumeration import MAX_STATES
from relaxit_torch.numerics import noise
from relaxit_torch.numerics.quadrature import product_integrand


def unordered_set(
    distribution: Distribution, f: SampleFunction, *, k: int = 2, max_states: int = MAX_STATES
) -> Tensor:
    r"""The unordered-set estimator: the score function over `k` different values of an event.

    $S$ is the set of values that is drawn without replacement. $P_{-C}$ is the probability of a set
    if the values $C$ cannot be drawn.

    $$\hat g = \sum_{z \in S} \nabla p(z)\, R(z) \Big(f(z) - p(z) f(z)
        - \sum_{z' \in S, z' \neq z} p(z') R_z(z') f(z')\Big), \qquad
      R(z) = \frac{P_{-z}(S \setminus z)}{P(S)}, \quad
      R_z(z') = \frac{P_{-z,z'}(S \setminus \{z, z'\})}{P_{-z}(S \setminus z)}.$$

    The value is $\sum_{z \in S} p(z) R(z) f(z)$. If `k` is the number of states, value and gradient
    are exact.

    Unbiased. Evaluations of `f`: `k`. `f` need not be differentiable.

    Args:
        distribution: Its log-probabilities are enumerated over all states of an event.
        f: Called only on the values that are drawn.
        k: The number of values, from 2 to the number of states.
        max_states: The largest number of states that is allowed.

    Raises:
        ValueError: An event has more than `max_states` states, or `k` is not an integer from 2 to
            the number of states.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> payoff = torch.tensor([0.0, 1.0, 2.0, 3.0])
        >>> value = rt.estimators.unordered_set(categories, lambda z: z @ payoff, k=4)
        >>> value.backward()
        >>> logits.grad  # exact, because all states are drawn
        tensor([-0.3750, -0.1250,  0.1250,  0.3750])

    References:
        Kool, van Hoof, Welling (2020), Estimating Gradients for Discrete Random Variables by
        Sampling without Replacement: with the built-in baseline.
    """
    variable = DiscreteVariable.of(distribution)
    check_count("k", k)
    states = variable.states(max_states)
    if not 2 <= k <= len(states):
        raise ValueError(
            f"k must be an integer from 2 to the number of states, {len(states)}, but got {k}"
        )
    log_probs = variable.log_prob_of_states().movedim(0, -1)  # (*batch, states)
    constant = log_probs.detach()
    gumbel = noise.gumbel(constant.shape, dtype=constant.dtype, device=constant.device)
    chosen = (constant + gumbel).topk(k).indices  # (*batch, k)
    found = variable.evaluate(f, states[chosen.movedim(-1, 0)])  # (k, *batch)
    # If all states are drawn, this is -inf. Then all weights are infinite, and all ratios are 1.
    left = constant.scatter(-1, chosen, -torch.inf).logsumexp(-1, keepdim=True)
    log_probs = log_probs.gather(-1, chosen)
    log_probs_drawn = log_probs.detach()
    log_ratio, log_second_ratio = _leave_out_ratios(log_probs_drawn - left)
    weight = (log_probs_drawn + log_ratio).exp()
    values = found.detach().movedim(0, -1)
    shares = (log_probs_drawn.unsqueeze(-2) + log_second_ratio).exp()  # (*batch, k, k)
    advantage = values - (shares * values.unsqueeze(-2)).sum(-1)
    average = (weight.movedim(-1, 0) * found).sum(0)
    return attach(average, (weight * advantage * log_probs).sum(-1))


def _leave_out_ratios(log_weights: Tensor) -> tuple[Tensor, Tensor]:
    r"""$\log R(z)$, `(*batch, k)`, and $\log R_z(z')$, `(*batch, k, k)`, 0 on the diagonal.

    A weight is a value's probability divided by the probability of all values that are not drawn.
    `PlackettLuce.subset_log_prob` integrates a product of one factor per value of the set. To leave
    a value out is to leave out its factor.
    """
    log_factors, log_measure = product_integrand(log_weights)  # (nodes, *batch, k)
    integrand = log_factors.sum(-1) + log_measure
    one_out = (integrand.unsqueeze(-1) - log_factors).logsumexp(0)
    two_out = []
    for i in range(log_weights.shape[-1]):  # one by one, to save memory
        without = integrand - log_factors[..., i]
        row = (without.unsqueeze(-1) - log_factors).logsumexp(0)
        row[..., i] = one_out[..., i]
        two_out.append(row)
    log_ratio = one_out - integrand.logsumexp(0).unsqueeze(-1)
    return log_ratio, torch.stack(two_out, -2) - one_out.unsqueeze(-1)
