"""Relaxed discrete distributions for PyTorch and Pyro: train through discrete random variables.

Each class is noise and a differentiable map, with an exact density, checked against an independent
reference. See `RelaxedDistribution` for what all of them can do.
"""

from .distributions.binary_concrete import BinaryConcrete as BinaryConcrete
from .distributions.exp_gumbel_softmax import ExpGumbelSoftmax as ExpGumbelSoftmax
from .distributions.gumbel_softmax import GumbelSoftmax as GumbelSoftmax
from .distributions.logit_binary_concrete import LogitBinaryConcrete as LogitBinaryConcrete
from .relaxed_distribution import RelaxedDistribution as RelaxedDistribution
