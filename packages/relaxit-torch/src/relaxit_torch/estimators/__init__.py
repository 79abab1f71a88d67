r"""Estimators of the gradient of an expectation over a discrete variable.

Every estimator is called as `estimator(distribution, f, **options)`. It estimates the gradient of
$E\,f(z)$, $z \sim$ `distribution`, with respect to the logits.

- `distribution` is a `torch.distributions.OneHotCategorical` or `Bernoulli`, or `Independent` of
  one. It has any batch shape. Its logits are finite and require a gradient. If it was made from
  `probs`, these get the gradient too; torch clamps them where they round to 0 or 1.
- `f` maps samples `(*samples, *batch, *event)` to one value each, `(*samples, *batch)`. Leading
  dimensions are further samples of the same batch, over which `f` must broadcast. The value of a
  batch element depends only on the sample of that element. `Independent` joins variables into one
  event, and `f` may combine the entries of an event in any way. Samples are one-hot or binary,
  unless the estimator says that it also calls `f` on relaxed samples.
- The result has the batch shape. Its value is `f` at the sample, or an unbiased average of `f`
  over several samples. `exact` returns the expectation, and `gumbel_softmax` returns `f` at a
  relaxed sample.
- Reduce the result to a loss and call `backward()`. The logits get the gradient estimate, and the
  parameters of `f` get the gradient of the value.
- To draw more samples, enlarge the batch:
  `estimator(distribution.expand((n, *distribution.batch_shape)), f).mean(0)`.
- `backward()` also trains an option that requires a gradient (a baseline, a temperature, a scale,
  a control variate), whatever the sign of the loss. The option gets the gradient of its own
  objective; each batch element is weighted by the square of the loss's derivative with respect to
  the result.
- A `temperature` is a positive number, or a tensor that broadcasts to one entry per variable.
- Random numbers come from torch's global generator. Under `torch.no_grad()` only the value is
  computed. Under `torch.autocast` only `f` runs in low precision.

`torch.compile(fullgraph=True)` works, except on `rebar`, `relax` and options that require a
gradient: there the forward pass computes a gradient, which breaks the graph.

Every estimator raises the following errors. Its own page lists only further ones.

- `TypeError`: a distribution of another kind, or an `f` that does not return a tensor.
- `ValueError`: logits that do not require a gradient or are not finite, or an `f` that returns
  another shape.
- `ValueError`: a result of `f` without gradient, where `f` must be differentiable.

`torch.no_grad()` switches off both checks for gradients, and `rebar` and `relax` then ignore the
temperature. If the distribution validates its arguments (torch's default), the entries of tensors
are checked, which synchronises a GPU. Kinds, shapes and Python numbers are always checked.

Example:
    >>> import torch, relaxit_torch as rt
    >>> from torch.distributions import Bernoulli, Independent
    >>> target = torch.tensor([1.0, 0.0, 1.0])
    >>> logits = torch.zeros(3, requires_grad=True)
    >>> bits = Independent(Bernoulli(logits=logits), 1)  # one event of three bits
    >>> loss = rt.estimators.disarm(bits, lambda b: (b - target).square().sum(-1))
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
