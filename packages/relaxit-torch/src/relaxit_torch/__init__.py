"""Relaxed discrete distributions for PyTorch and Pyro: train through discrete random variables.

Each class is noise and a differentiable map, with an exact density, checked against an independent
reference. See `RelaxedDistribution` for what all of them can do.
"""

from . import diagnostics as diagnostics
from . import estimators as estimators
from . import functional as functional
from . import laplace_bridge as laplace_bridge
from . import nn as nn
from .core import constraints as constraints
from .core.relaxed_distribution import RelaxedDistribution as RelaxedDistribution
from .distributions.binary_concrete import BinaryConcrete as BinaryConcrete
from .distributions.correlated_bernoulli import CorrelatedBernoulli as CorrelatedBernoulli
from .distributions.correlated_relaxed_bernoulli import (
    CorrelatedRelaxedBernoulli as CorrelatedRelaxedBernoulli,
)
from .distributions.exp_gumbel_softmax import ExpGumbelSoftmax as ExpGumbelSoftmax
from .distributions.gaussian_relaxed_bernoulli import (
    GaussianRelaxedBernoulli as GaussianRelaxedBernoulli,
)
from .distributions.generalized_gumbel_softmax import (
    GeneralizedGumbelSoftmax as GeneralizedGumbelSoftmax,
)
from .distributions.gumbel_rao import GumbelRao as GumbelRao
from .distributions.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from .distributions.gumbel_softmax_top_k import GumbelSoftmaxTopK as GumbelSoftmaxTopK
from .distributions.hard_concrete import HardConcrete as HardConcrete
from .distributions.invertible_gaussian import InvertibleGaussian as InvertibleGaussian
from .distributions.logistic_normal_softmax import LogisticNormalSoftmax as LogisticNormalSoftmax
from .distributions.logit_binary_concrete import LogitBinaryConcrete as LogitBinaryConcrete
from .distributions.plackett_luce import PlackettLuce as PlackettLuce
from .distributions.stochastic_times_smooth import StochasticTimesSmooth as StochasticTimesSmooth
from .distributions.straight_through_bernoulli import (
    StraightThroughBernoulli as StraightThroughBernoulli,
)
