r"""Gradient estimators: differentiate an expectation over a discrete variable.

All are called in the same way, `estimator(distribution, f, **options)`, and estimate the gradient
of $E\,f(z)$, $z \sim$ `distribution`, with respect to the logits.

- `distribution` is a `torch.distributions.OneHotCategorical` or `Bernoulli` of any batch shape, or
  `Independent` of one; its logits require a gradient. Made from `probs`, the gradient flows on to
  these, through logits that torch clamps at the rounding of 1. Logits are finite.
- `f` maps samples `(*samples, *batch, *event)` to one value for each, `(*samples, *batch)`. Leading
  dimensions are further samples of the same batch: `f` broadcasts over them. The value of a batch
  element depends on its own sample only. `Independent` makes several variables one event, which `f`
  may couple in any way. Estimators without relaxed samples call `f` on one-hot or binary ones only.
- The result has the batch shape. Its **value** is `f` at the sample, or an unbiased average of `f`
  over the samples where an estimator draws several; of `exact`, the expectation; of
  `gumbel_softmax`, `f` at the relaxed sample. Its **backward pass** is the gradient estimate with
  respect to the logits, and for the parameters of `f` itself the gradient of that value: reduce
  the result to a loss and call `backward()`. What is added for the first is exactly 0 in value.
- More draws of any estimator are a larger batch:
  `estimator(distribution.expand((n, *distribution.batch_shape)), f).mean(0)`.
- Parameters that an estimator learns (a baseline, a temperature, a control variate) get from the
  same `backward()` the gradient of what they are to minimise, times the square of the gradient that
  arrives at the batch element. So they minimise it also where the loss is `-estimator(...)`.
- Random numbers come from torch's global generator. Under `torch.no_grad()` only the value is left.

`torch.compile(fullgraph=True)` works on all but those that take a gradient on the way, where the
graph breaks: `rebar`, `relax`, and what learns parameters.

All raise `TypeError` for a distribution of another kind and for a result of `f` that is no tensor,
and `ValueError` for logits that do not require a gradient or are not finite, and for a result of
`f` of another shape. Where `f` must be differentiable, a result without gradient is a `ValueError`
too; under `torch.no_grad()` neither this nor the gradient of the logits is asked for, and `rebar`
and `relax` return before they look at the temperature. What else an estimator refuses, it says.

With validation (the default of torch's distributions), the entries of logits and of options that
are tensors are checked, which synchronises a GPU; kinds, shapes and numbers are checked always.

Example:
    >>> import torch
    >>> from torch.distributions import Bernoulli, Independent
    >>> from relaxit_torch import estimators
    >>> target = torch.tensor([1.0, 0.0, 1.0])
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> bits = Independent(Bernoulli(logits=logits), 1)  # one event of three bits
    >>> loss = estimators.disarm(bits, lambda b: (b - target).square().sum(-1))
    >>> loss.shape
    torch.Size([])
    >>> loss.backward()
    >>> logits.grad.shape
    torch.Size([3])
"""

from .antithetic import arm as arm
from .antithetic import disarm as disarm
from .control_variates import rebar as rebar
from .control_variates import relax as relax
from .enumeration import exact as exact
from .gumbel import gumbel_rao as gumbel_rao
from .gumbel import gumbel_softmax as gumbel_softmax
from .gumbel import gumbel_softmax_straight_through as gumbel_softmax_straight_through
from .reinforce import score_function as score_function
from .surrogates import decoupled_straight_through as decoupled_straight_through
from .surrogates import reinmax as reinmax
from .surrogates import straight_through as straight_through
from .without_replacement import unordered_set as unordered_set
