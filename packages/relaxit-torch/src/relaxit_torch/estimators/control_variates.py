"""The score function with control variates that are differentiable in relaxed samples."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.distributions import Distribution

from relaxit_torch.core import constraints
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.estimators.discrete import DiscreteVariable, SampleFunction, attach
from relaxit_torch.estimators.learning import learn


def rebar(
    distribution: Distribution,
    f: SampleFunction,
    *,
    temperature: Parameter = 0.5,
    scale: Parameter = 1.0,
) -> Tensor:
    r"""REBAR: the score function, with `f` at relaxed samples as the control variate.

    The estimate is the one of `relax` with $c(s) = \eta f(\operatorname{softmax}(s / \tau))$ for
    categories, or $\eta f(\sigma(s / \tau))$ for bits.

    Unbiased at every temperature and scale. Evaluations of `f`: 2, one of them on a relaxed sample.
    `f` must be differentiable there.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Also called on the interior of the simplex or of (0, 1).
        temperature: $\tau > 0$. If it requires a gradient, it learns to lower the variance.
        scale: $\eta$, a number or a tensor that broadcasts to the batch shape. If it requires a
            gradient, it learns to lower the variance.

    Raises:
        ValueError: `temperature` is not positive and finite, `scale` is the number 0 or is not
            finite, or one of them does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(3, requires_grad=True)
        >>> bits = torch.distributions.Bernoulli(logits=logits)
        >>> temperature = torch.tensor(0.5, requires_grad=True)
        >>> loss = rt.estimators.rebar(bits, lambda b: (b - 0.4) ** 2, temperature=temperature)
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
    f: SampleFunction,
    *,
    control_variate: SampleFunction | None = None,
    temperature: Parameter = 0.5,
    scale: Parameter = 1.0,
) -> Tensor:
    r"""RELAX: the score function, with any differentiable function as the control variate.

    Scores $s = \theta + \text{noise}$ harden to the sample $z$. The scores $\tilde s$ are drawn
    given $z$. With a control variate $c$,

    $$\hat g = (f(z) - c(\tilde s)) \nabla \log p(z) + \nabla c(s) - \nabla c(\tilde s), \qquad
      c(s) = \eta f(\operatorname{softmax}(s / \tau)) + r(s).$$

    Both have noise for which $\tilde s = s$. They differ only in their derivatives with respect to
    $\theta$, so $c$ is evaluated once.

    Unbiased for every control variate, temperature and scale. Evaluations of `f`: 2, one of them on
    a relaxed sample, where `f` must be differentiable. With `scale=0`, `f` is evaluated once and
    may be any function.

    Args:
        distribution: See `relaxit_torch.estimators`.
        f: Also called on the interior of the simplex or of (0, 1), unless `scale=0`.
        control_variate: $r$, a differentiable function of real scores `(*batch, *event)`. If it is
            an `nn.Module`, its parameters learn to lower the variance.
        temperature: $\tau > 0$. If it requires a gradient, it learns to lower the variance.
        scale: $\eta$, a number or a tensor that broadcasts to the batch shape. If it requires a
            gradient, it learns to lower the variance. With the number 0, `f` is not relaxed.

    Raises:
        TypeError: `control_variate` does not return a tensor.
        ValueError: `control_variate` returns another shape or is not differentiable; `temperature`
            is not positive and finite; `scale` is not finite, or is 0 without a
            `control_variate`; or one of them does not broadcast.

    Example:
        >>> import torch, relaxit_torch as rt
        >>> logits = torch.zeros(8, 4, requires_grad=True)
        >>> categories = torch.distributions.OneHotCategorical(logits=logits)
        >>> critic = torch.nn.Sequential(torch.nn.Linear(4, 1), torch.nn.Flatten(0))
        >>> black_box = lambda z: z.argmax(-1).float()
        >>> loss = rt.estimators.relax(categories, black_box, control_variate=critic, scale=0)
        >>> loss.sum().backward()  # gradients for the logits and the critic
        >>> critic[0].weight.grad.shape
        torch.Size([1, 4])

    References:
        Grathwohl, Choi, Wu, Roeder, Duvenaud (2018), Backpropagation through the Void: Optimizing
        Control Variates for Black-Box Gradient Estimation; the coupling of the noise: Tucker, Mnih,
        Maddison, Lawson, Sohl-Dickstein (2017).
    """
    variable = DiscreteVariable.of(distribution)
    scores = variable.logits.detach() + variable.draw_noise()
    sample = variable.harden(scores)
    value = variable.evaluate(f, sample)
    variable.check_option("scale", scale, constraints.real, variable.batch_shape, "the batch")
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
        # The mean of the estimate does not depend on what is learned, so a smaller mean square
        # is a smaller variance.
        value = learn(value, variable.sum_event(estimate.square()), learned)
    return attach(value, variable.sum_event(estimate.detach() * variable.logits))


def _estimate(
    variable: DiscreteVariable, scores: Tensor, sample: Tensor, advantage: Tensor, slope: Tensor
) -> Tensor:
    """The gradient estimate for the logits, differentiable in the control variate.

    `scores` harden to `sample`, `advantage` is `f` minus the control variate, and `slope` is the
    derivative of the control variate at the scores.
    """
    probs = variable.probs.detach()
    score = sample - probs  # the derivative of the log-probability
    # The derivative of a score in its own logit is 1 for s, and less for the scores given the
    # sample. `pathwise` is the difference, times the slope.
    if variable.one_hot:
        # Given the sample: 1 - exp(s - max s) for each log-probability, which is 0 for the maximum.
        free = (scores - scores.amax(-1, keepdim=True)).exp() * slope
        pathwise = free - probs * free.sum(-1, keepdim=True)  # log-probabilities to logits
    else:
        # Given the sample: P(sample) (1 - exp(-|s|)).
        likelihood = torch.where(sample > 0, probs, 1 - probs)
        pathwise = (1 + likelihood * torch.expm1(-scores.abs())) * slope
    return variable.per_event(advantage) * score + pathwise
