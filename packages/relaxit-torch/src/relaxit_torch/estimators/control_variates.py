"""The score function with control variates that are differentiated along relaxed samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.estimators.discrete import DiscreteVariable, Function, attach
from relaxit_torch.estimators.learning import learn


def rebar(
    distribution: Distribution,
    f: Function,
    *,
    temperature: Parameter = 0.5,
    scale: Parameter = 1.0,
) -> Tensor:
    r"""REBAR: the score function, with `f` at relaxed samples as control variate.

    That of `relax` with $c(s) = \eta f(\operatorname{softmax}(s / \tau))$, or a sigmoid.

    Unbiased at every temperature and scale. Evaluations of `f`: 2, one of them on a relaxed sample.
    `f` must be differentiable there.

    Args:
        distribution: see `relaxit_torch.estimators`.
        f: likewise, also on the interior of the simplex or of (0, 1).
        temperature: $\tau > 0$, a number or a tensor of one for each variable. If it requires a
            gradient, it gets that of the variance.
        scale: $\eta$, a number or a tensor that broadcasts to the batch shape; likewise.

    Raises:
        TypeError, ValueError: what all estimators refuse; see `relaxit_torch.estimators`.
        ValueError: a temperature that is not positive and finite, a scale that is not finite or is
            the number 0, or one of them that does not broadcast.

    Example:
        >>> import torch
        >>> from torch.distributions import Bernoulli
        >>> from relaxit_torch.estimators import rebar
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> temperature = torch.tensor(0.5, requires_grad=True)
        >>> loss = rebar(
        ...     Bernoulli(logits=logits), lambda b: (b - 0.4) ** 2, temperature=temperature
        ... )
        >>> loss.sum().backward()
        >>> temperature.grad.shape  # descending it lowers the variance
        torch.Size([])

    References:
        Tucker, Mnih, Maddison, Lawson, Sohl-Dickstein (2017), REBAR: Low-Variance, Unbiased
        Gradient Estimates for Discrete Latent Variable Models; categorical variables: Grathwohl,
        Choi, Wu, Roeder, Duvenaud (2018).
    """
    return relax(distribution, f, temperature=temperature, scale=scale)


def relax(
    distribution: Distribution,
    f: Function,
    *,
    control_variate: Function | None = None,
    temperature: Parameter = 0.5,
    scale: Parameter = 1.0,
) -> Tensor:
    r"""RELAX: the score function, with any differentiable function as control variate.

    With scores $s = \theta + \text{noise}$ that harden to the sample $z$, $\tilde s$ the same
    scores as a function of $\theta$ given $z$, and a control variate $c$,

    $$\hat g = (f(z) - c(\tilde s)) \nabla \log p(z) + \nabla c(s) - \nabla c(\tilde s), \qquad
      c(s) = \eta f(\operatorname{softmax}(s / \tau)) + r(s).$$

    The noise of $\tilde s$ is that with which it equals $s$: the two differ in their derivatives
    only, and $c$ is evaluated once.

    Unbiased for every control variate, temperature and scale. Evaluations of `f`: 2, one of them on
    a relaxed sample, where `f` must be differentiable. With `scale=0`: 1, and any `f`.

    Args:
        distribution: see `relaxit_torch.estimators`.
        f: likewise, also on the interior of the simplex or of (0, 1).
        control_variate: $r$, of scores `(*batch, *event)` on the real line, differentiable. The
            parameters of an `nn.Module` get the gradient of the variance.
        temperature: $\tau > 0$, a number or a tensor of one for each variable. If it requires a
            gradient, it gets that of the variance.
        scale: $\eta$, a number or a tensor that broadcasts to the batch shape; likewise. With the
            number 0, `f` is not relaxed.

    Raises:
        TypeError, ValueError: what all estimators refuse; see `relaxit_torch.estimators`.
        TypeError, ValueError: likewise for the result of `control_variate`, and for one that is not
            differentiable.
        ValueError: a temperature that is not positive and finite, a scale that is not finite, or
            one of them that does not broadcast; the scale 0 without a `control_variate`; with
            another scale, an `f` that is not differentiable.

    Example:
        >>> import torch
        >>> from torch import nn
        >>> from torch.distributions import OneHotCategorical
        >>> from relaxit_torch.estimators import relax
        >>> logits = torch.zeros(8, 4, requires_grad=True)
        >>> critic = nn.Sequential(nn.Linear(4, 10), nn.Tanh(), nn.Linear(10, 1), nn.Flatten(0))
        >>> black_box = lambda z: z.argmax(-1).float()
        >>> loss = relax(
        ...     OneHotCategorical(logits=logits), black_box, control_variate=critic, scale=0
        ... )
        >>> loss.sum().backward()  # of logits and critic
        >>> critic[0].weight.grad.shape
        torch.Size([10, 4])

    References:
        Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), Backpropagation through the Void: Optimizing
        Control Variates for Black-Box Gradient Estimation; the coupling of the noise: Tucker, Mnih,
        Maddison, Lawson, Sohl-Dickstein (2017).
    """
    variable = DiscreteVariable.of(distribution)
    scores = variable.logits.detach() + variable.noise()
    sample = variable.harden(scores)
    value = variable.evaluate(f, sample)
    variable.checked("scale", scale, constraints.real, variable.batch_shape, "the batch")
    relaxes_f = isinstance(scale, Tensor) or scale != 0
    if not relaxes_f and control_variate is None:
        raise ValueError("scale must not be 0 without a control_variate, but got 0")
    if not torch.is_grad_enabled():
        return value
    scores.requires_grad_()
    control = torch.zeros_like(value)
    if relaxes_f:
        relaxed = variable.squash(variable.divided(scores, temperature))
        control = control + scale * variable.differentiate(f, relaxed)
    if control_variate is not None:
        control = control + variable.differentiate(control_variate, scores, name="control_variate")
    learned = [p for p in (temperature, scale) if isinstance(p, Tensor)] if relaxes_f else []
    if isinstance(control_variate, nn.Module):
        learned += control_variate.parameters()
    learned = [parameter for parameter in learned if parameter.requires_grad]
    (slope,) = torch.autograd.grad(
        control.sum(), scores, create_graph=bool(learned), materialize_grads=True
    )
    estimate = _estimate(variable, scores.detach(), sample, value.detach() - control, slope)
    if learned:
        # The mean of the estimate does not depend on them: its square is their variance.
        value = learn(value, variable.sum_event(estimate.square()), learned)
    return attach(value, variable.sum_event(estimate.detach() * variable.logits))


def _estimate(
    variable: DiscreteVariable, scores: Tensor, sample: Tensor, advantage: Tensor, slope: Tensor
) -> Tensor:
    """The estimate with respect to logits, whose graph leads to the control variate only.

    Args:
        variable: what is sampled.
        scores: perturbed logits.
        sample: what they harden to.
        advantage: `f` less the control variate, of the batch shape.
        slope: the derivative of the control variate at the scores.
    """
    probs = variable.probs.detach()
    score = sample - probs  # the derivative of the log-probability
    if variable.one_hot:
        # Given the sample, its own score is that of the maximum, which the log-probabilities do
        # not move, and another one moves by 1 - exp(s - max s) with its log-probability.
        free = (scores - scores.amax(-1, keepdim=True)).exp() * slope
        pathwise = free - probs * free.sum(-1, keepdim=True)
    else:
        # Given the sample, the score moves by P(sample) (1 - exp(-|s|)) with the log-odds.
        likelihood = torch.where(sample > 0, probs, 1 - probs)
        pathwise = (1 + likelihood * torch.expm1(-scores.abs())) * slope
    return variable.per_event(advantage) * score + pathwise
