"""Modules for networks: gates that learn to close, and layers that learn to choose."""

from .correlated_gates import CorrelatedGates as CorrelatedGates
from .gates import Gates as Gates
from .gumbel_softmax_layer import GumbelSoftmaxLayer as GumbelSoftmaxLayer
from .hard_concrete_gates import HardConcreteGates as HardConcreteGates
from .stochastic_gates import StochasticGates as StochasticGates
from .temperature_schedule import TemperatureSchedule as TemperatureSchedule
