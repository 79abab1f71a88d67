r"""Estimators of the gradient of an expectation over a discrete variable.

Every estimator is called as `estimator(distribution, f, **options)`. It estimates the gradient of
$E\,f(z)$, $z \sim$ `distribution`, with respect to the logits.

- `distribution` is a `torch.distributions.OneHotCategorical` or `Bernoulli`, or `Independent` of
  one. It has any batch shape. Its logits are finite and require a gradient. If it was made from
  `probs`, they get the gradient too; torch clamps `probs` near 0 and 1.
- `f` maps samples `(*samples, *batch, *event)` to one value each, `(*samples, *batch)`. Leading
  dimensions are further samples of the same batch, over which `f` must broadcast. The value of a
  batch element depends only on the sample of that element. `Independent` joins variables into one
  event, and `f` may combine the entries of an event in any way. Samples are one-hot or binary,
  unless the estimator says that it relaxes them.
- The result has the batch shape. Its value is `f` at the sample, or an unbiased average of `f`
  over several samples. `exact` returns the expectation, and `gumbel_softmax` returns `f` at a
  relaxed sample.
- Reduce the result to a loss and call `backward()`. The logits get the gradient estimate, and the
  parameters of `f` get the gradient of the value.
- To draw more samples, enlarge the batch:
  `estimator(distribution.expand((n, *distribution.batch_shape)), f).mean(0)`.
- `backward()` also trains a learned baseline, temperature, scale or control variate, whatever the
  sign of your loss. Each gets the gradient of its own objective, which weighs a batch element by
  the square of its weight in the loss.
- A `temperature` is a positive number, or a tensor that broadcasts to one entry per variable.
- Random numbers come from torch's global generator. Under `torch.no_grad()` only the value is
  computed. Under `torch.autocast` only `f` runs in low precision.

`torch.compile(fullgraph=True)` works on all estimators except `rebar`, `relax`, and those with a
learned option. These compute a gradient on the way, which breaks the graph.

Every estimator raises the following errors. Its own page lists only further ones.

- `TypeError`: The distribution is of another kind, or `f` does not return a tensor.
- `ValueError`: The logits are not finite or do not require a gradient; or `f` returns another
  shape, or a tensor without gradient where `f` must be differentiable.

Under `torch.no_grad()` gradients are not required, and `rebar` and `relax` ignore the temperature.
If the distribution validates its arguments (torch's default), the entries of tensors are checked,
which synchronises a GPU. Kinds, shapes and Python numbers are always checked.

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
