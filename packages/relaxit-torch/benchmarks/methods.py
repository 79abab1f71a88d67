"""The methods, and the peers that have them too: each from the same tensors to one sample.

A peer that draws one noise value for the whole batch is given as many as the batch has entries.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pyro.distributions as pyro
import torch
import torch.distributions as td
from torch import Tensor
from torch.distributions.relaxed_bernoulli import LogitRelaxedBernoulli
from torch.distributions.relaxed_categorical import ExpRelaxedCategorical
from torch.nn.functional import gumbel_softmax

import relaxit_torch as rt

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # constructors with `validate_args` in the module's body
    import relaxit.distributions as rx

TEMPERATURE = 0.5
DELTA = 1.0
COMPONENTS = 128
"""Of a correlated vector: its cost grows with the square of their number."""

Sampler = Callable[..., Tensor]
Leaves = Callable[[int, int], list[Tensor]]


class FullHardConcrete(rx.HardConcrete):  # type: ignore[misc]  # relaxit has no annotations
    """Theirs draws one number for all gates."""

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        u = torch.rand_like(self.alpha)
        score = (torch.log(u) - torch.log(1 - u) + torch.log(self.alpha)) / self.beta
        stretched = torch.sigmoid(score) * (self.xi - self.gamma) + self.gamma
        return torch.clamp(stretched, 0, 1)


class FullGaussianRelaxedBernoulli(rx.GaussianRelaxedBernoulli):  # type: ignore[misc]  # the same
    """Theirs draws one number for all gates."""

    def rsample(self, sample_shape: torch.Size = torch.Size()) -> Tensor:  # noqa: B008
        return torch.clamp(self.loc + self.normal.sample(self.loc.shape), 0, 1)


def scores(batch: int, size: int) -> list[Tensor]:
    """Logits, or locations."""
    return [torch.randn(batch, size, requires_grad=True)]


def probabilities(batch: int, size: int) -> list[Tensor]:
    """Probabilities of single bits."""
    return [torch.rand(batch, size).clamp_(0.01, 0.99).requires_grad_()]


def normals(batch: int, size: int) -> list[Tensor]:
    """Locations and scales."""
    return [*scores(batch, size), torch.rand(batch, size).add_(0.5).requires_grad_()]


def correlated(batch: int, size: int) -> list[Tensor]:
    """Probabilities and a fixed correlation matrix, of `correlated_size`."""
    rows, components = correlated_size(batch, size)
    matrix = torch.corrcoef(torch.randn(components, 2 * components))
    return [*probabilities(rows, components), matrix]


def correlated_size(batch: int, size: int) -> tuple[int, int]:
    """Rows and components: as many entries, of no more components than their square allows."""
    components = min(size, COMPONENTS)
    return max(batch * size // components, 1), components


def rates(batch: int, size: int) -> list[Tensor]:
    """Means of counts; the truncation takes the other size."""
    return [torch.rand(batch).add_(1).requires_grad_(), torch.empty(size)]


def _itself(batch: int, size: int) -> tuple[int, int]:
    return batch, size


@dataclass(frozen=True)
class Method:
    """One of our classes, as it is used, and its peers by name."""

    ours: Sampler
    relaxation: Callable[..., rt.RelaxedDistribution]
    peers: dict[str, Sampler] = field(default_factory=dict)
    scoring: dict[str, Callable[..., td.Distribution]] = field(default_factory=dict)
    """Peers with the same density, as distributions."""
    leaves: Leaves = scores
    size: Callable[[int, int], tuple[int, int]] = _itself
    """What `leaves` makes of a size."""
    has_gradient: bool = True
    has_density: bool = True

    @property
    def samplers(self) -> dict[str, Sampler]:
        """All of them, ours first."""
        return {"relaxit-torch": self.ours, **self.peers}

    @property
    def distributions(self) -> dict[str, Callable[..., td.Distribution]]:
        """All that score values, ours first."""
        return {"relaxit-torch": self.relaxation, **self.scoring} if self.has_density else {}


def method(
    relaxation: Callable[..., rt.RelaxedDistribution],
    leaves: Leaves = scores,
    scoring: dict[str, Callable[..., td.Distribution]] | None = None,
    **peers: Sampler,
) -> Method:
    """Construction and one sample, next to peers whose names have `_` in place of a space."""
    distributions = scoring or {}
    named = {name: _sampler(distribution) for name, distribution in distributions.items()}
    named = {name.replace("_", " "): peer for name, peer in peers.items()} | named
    return Method(_sampler(relaxation), relaxation, named, distributions, leaves)


def _sampler(distribution: Callable[..., td.Distribution]) -> Sampler:
    return lambda *given: distribution(*given).rsample()


def _discrete(distribution: Callable[..., rt.RelaxedDistribution], **options: Any) -> Method:
    """A class of ours whose samples have no gradient."""
    return Method(
        lambda *given: distribution(*given).sample(), distribution, has_gradient=False, **options
    )


def _gumbel_softmax(logits: Tensor) -> rt.GumbelSoftmax:
    return rt.GumbelSoftmax(TEMPERATURE, logits=logits, validate_args=False)


def _top_k(logits: Tensor) -> rt.GumbelSoftmaxTopK:
    return rt.GumbelSoftmaxTopK(10, TEMPERATURE, logits=logits, validate_args=False)


def _public_top_k(logits: Tensor) -> Tensor:
    k, temperature = torch.tensor(10), torch.tensor(TEMPERATURE)
    return rx.GumbelSoftmaxTopK(logits=logits, K=k, tau=temperature, hard=False).rsample()


def _public_hard_concrete(logits: Tensor) -> Tensor:
    numbers = (torch.tensor(number) for number in (2 / 3, 1.1, -0.1))
    return FullHardConcrete(logits.exp(), *numbers, validate_args=False).rsample()


METHODS: dict[str, Method] = {
    "GumbelSoftmax": method(
        _gumbel_softmax,
        torch_function=lambda x: gumbel_softmax(x, TEMPERATURE),
        scoring={
            "torch": lambda x: td.RelaxedOneHotCategorical(
                torch.tensor(TEMPERATURE), logits=x, validate_args=False
            ),
            "pyro": lambda x: pyro.RelaxedOneHotCategorical(
                torch.tensor(TEMPERATURE), logits=x, validate_args=False
            ),
        },
    ),
    "GumbelSoftmax hard": method(
        lambda x: rt.GumbelSoftmax(TEMPERATURE, logits=x, hard=True, validate_args=False),
        torch_function=lambda x: gumbel_softmax(x, TEMPERATURE, hard=True),
        pyro=lambda x: pyro.RelaxedOneHotCategoricalStraightThrough(
            torch.tensor(TEMPERATURE), logits=x, validate_args=False
        ).rsample(),
        relaxit=lambda x: rx.DecoupledStraightThroughGumbelSoftmax(
            TEMPERATURE, TEMPERATURE, logits=x, validate_args=False
        ).rsample(),
    ),
    "functional.gumbel_softmax": Method(
        lambda x: rt.functional.gumbel_softmax(x, TEMPERATURE),
        _gumbel_softmax,
        {"torch function": lambda x: gumbel_softmax(x, TEMPERATURE)},
        has_density=False,
    ),
    "functional.gumbel_softmax hard": Method(
        lambda x: rt.functional.gumbel_softmax(x, TEMPERATURE, hard=True),
        _gumbel_softmax,
        {"torch function": lambda x: gumbel_softmax(x, TEMPERATURE, hard=True)},
        has_density=False,
    ),
    "ExpGumbelSoftmax": method(
        lambda x: rt.ExpGumbelSoftmax(TEMPERATURE, logits=x, validate_args=False),
        scoring={
            "torch": lambda x: ExpRelaxedCategorical(
                torch.tensor(TEMPERATURE), logits=x, validate_args=False
            )
        },
    ),
    "BinaryConcrete": method(
        lambda x: rt.BinaryConcrete(TEMPERATURE, logits=x, validate_args=False),
        scoring={
            "torch": lambda x: td.RelaxedBernoulli(
                torch.tensor(TEMPERATURE), logits=x, validate_args=False
            )
        },
    ),
    "BinaryConcrete hard": method(
        lambda x: rt.BinaryConcrete(TEMPERATURE, logits=x, hard=True, validate_args=False),
        pyro=lambda x: pyro.RelaxedBernoulliStraightThrough(
            torch.tensor(TEMPERATURE), logits=x, validate_args=False
        ).rsample(),
    ),
    "LogitBinaryConcrete": method(
        lambda x: rt.LogitBinaryConcrete(TEMPERATURE, logits=x, validate_args=False),
        scoring={
            "torch": lambda x: LogitRelaxedBernoulli(
                torch.tensor(TEMPERATURE), logits=x, validate_args=False
            )
        },
    ),
    "HardConcrete": method(
        lambda x: rt.HardConcrete(logits=x, validate_args=False),
        relaxit=_public_hard_concrete,
    ),
    "StraightThroughBernoulli": method(
        lambda x: rt.StraightThroughBernoulli(logits=x, validate_args=False),
        relaxit=lambda x: rx.StraightThroughBernoulli(logits=x, validate_args=False).rsample(),
    ),
    "StochasticTimesSmooth": method(
        lambda x: rt.StochasticTimesSmooth(logits=x, validate_args=False),
        relaxit=lambda x: rx.StochasticTimesSmooth(logits=x, validate_args=False).rsample(),
    ),
    "GaussianRelaxedBernoulli": method(
        lambda x: rt.GaussianRelaxedBernoulli(x, validate_args=False),
        relaxit=lambda x: FullGaussianRelaxedBernoulli(
            x, torch.tensor(0.5), validate_args=False
        ).rsample(),
    ),
    "InvertibleGaussian": method(
        lambda x, s: rt.InvertibleGaussian(TEMPERATURE, x, s, DELTA, validate_args=False),
        normals,
        relaxit=lambda x, s: rx.InvertibleGaussian(
            x, s, torch.tensor(TEMPERATURE), validate_args=False
        ).rsample(),
    ),
    "LogisticNormalSoftmax": method(
        lambda x, s: rt.LogisticNormalSoftmax(x, s, validate_args=False),
        normals,
        relaxit=lambda x, s: rx.LogisticNormalSoftmax(x, s, validate_args=False).rsample(),
    ),
    "CorrelatedRelaxedBernoulli": replace(
        method(
            lambda p, r: rt.CorrelatedRelaxedBernoulli(
                TEMPERATURE, p, correlation_matrix=r, validate_args=False
            ),
            correlated,
            relaxit=lambda p, r: rx.CorrelatedRelaxedBernoulli(
                p, r, torch.tensor(TEMPERATURE)
            ).rsample(),
        ),
        size=correlated_size,
    ),
    "CorrelatedBernoulli": _discrete(
        lambda p, r: rt.CorrelatedBernoulli(p, correlation_matrix=r, validate_args=False),
        leaves=correlated,
        size=correlated_size,
        has_density=False,  # of more than two components
    ),
    "GumbelSoftmaxTopK k-hot": Method(
        lambda x: _top_k(x).rsample_khot(), _top_k, {"relaxit": _public_top_k}
    ),
    "PlackettLuce": _discrete(lambda x: rt.PlackettLuce(2, logits=x, validate_args=False)),
    "GeneralizedGumbelSoftmax": method(
        lambda rate, values: rt.GeneralizedGumbelSoftmax(
            len(values), TEMPERATURE, rate, validate_args=False
        ),
        rates,
    ),
}
