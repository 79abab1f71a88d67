"""Modules for networks: gates that close on their own, and choices that grow sharp in training."""

from .gates import CorrelatedGates as CorrelatedGates
from .gates import Gates as Gates
from .gates import HardConcreteGates as HardConcreteGates
from .gates import StochasticGates as StochasticGates
from .gumbel_softmax_layer import GumbelSoftmaxLayer as GumbelSoftmaxLayer
from .temperature_schedule import TemperatureSchedule as TemperatureSchedule
