"""The NumPy and SciPy ground truth for relaxed discrete distributions, and their specifications."""

from . import laplace_bridge as laplace_bridge
from .checking.check import check_distribution as check_distribution
from .checking.report import Difference as Difference
from .checking.report import Report as Report
from .distribution import ReferenceDistribution as ReferenceDistribution
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
from .spec import Spec as Spec
from .spec import SpecError as SpecError
from .spec import load_spec as load_spec
from .spec import load_specs as load_specs
