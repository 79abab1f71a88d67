"""The score-function estimator, also known as REINFORCE."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import check_count
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction, attach
from relaxit_torch.estimators.learning import learn


def score_function(
    distribution: Distribution,
    f: SampleFunction,
    *,
    samples: int = 1,
    baseline: Literal["leave_one_out"] | Tensor | None = None,
) -> Tensor:
    r"""The score function (REINFORCE): $(f(z) - b) \nabla \log p(z)$, averaged over samples.

    Unbiased. Evaluations of `f`: `samples`. `f` need not be differentiable.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: See `relaxit_torch.estimators`.
        samples: The number of samples. The result is the mean over them.
        baseline: $b$. None is 0. `"leave_one_out"` is the mean of `f` over the other samples. A
            tensor, such as the output of a network, must broadcast to the batch shape. If it
            requires a gradient, it learns to predict `f`: it minimises the mean of $(f(z) - b)^2$.

    Raises:
        ValueError: `samples` is not a positive integer, or is 1 with `"leave_one_out"`; or
            `baseline` is none of the above, not finite, or does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> payoff = torch.tensor([0.0, 1.0, 2.0, 5.0])
        >>> loss = rt.estimators.score_function(
        ...     categories, lambda z: z @ payoff, samples=8, baseline="leave_one_out"
        ... )
        >>> loss.backward()
        >>> bool(logits.grad.isfinite().all())
        True

    References:
        Williams (1992), Simple Statistical Gradient-Following Algorithms for Connectionist
        Reinforcement Learning; leave-one-out: Kool, van Hoof, Welling (2019), Buy 4 REINFORCE
        Samples, Get a Baseline for Free!; learned: Mnih, Gregor (2014).
    """
    variable = DiscreteVariable.of(distribution)
    check_count("samples", samples)
    value = variable.sample((samples,))
    found = variable.evaluate(f, value)  # (samples, *batch)
    advantage = found.detach()
    result = found.mean(0)
    if isinstance(baseline, Tensor):
        variable.check_option(
            "baseline", baseline, constraints.real, variable.batch_shape, "the batch"
        )
        if baseline.requires_grad and torch.is_grad_enabled():
            result = learn(result, (advantage - baseline).square().mean(0), [baseline])
        advantage = advantage - baseline.detach()
    elif baseline == "leave_one_out":
        if samples < 2:
            raise ValueError(
                "samples must be an integer of at least 2 for baseline='leave_one_out', "
                f"but got {samples}"
            )
        # f - (mean of the others) = (f - (mean of all)) n / (n - 1)
        advantage = (advantage - advantage.mean(0)) * (samples / (samples - 1))
    elif baseline is not None:
        raise ValueError(
            f"baseline must be None, 'leave_one_out' or a tensor, but got {baseline!r}"
        )
    return attach(result, (advantage * variable.log_prob(value)).mean(0))
