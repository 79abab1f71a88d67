"""Latent variables of any kind, built from what a distribution class says about itself.

A class of `relaxit_torch` is found by its name in kebab case. Its constructor signature and
`arg_constraints` tell what the encoder has to emit: the parameters that have no default and are not
options of the run, and `logits` where the class takes exactly one of `probs` and `logits`.
`torch.distributions.transform_to` turns unconstrained numbers into valid parameters, so nothing
here knows a method by name.
"""

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import torch
from torch import Size, Tensor
from torch.distributions import Distribution, constraints, transform_to

import relaxit_torch
from relaxit_torch import RelaxedDistribution
from relaxit_vae.config import Config
from relaxit_vae.errors import InputError
from relaxit_vae.objective import uniform_prior

OPTIONS = {"temperature": 0.5, "hard": False}
"""Constructor arguments that a run sets, and their values where the class has no default."""


def kebab_case(name: str) -> str:
    """How a class is named on the command line.

    Example:
        >>> kebab_case("GumbelSoftmaxTopK")
        'gumbel-softmax-top-k'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def relaxations() -> dict[str, type[RelaxedDistribution]]:
    """Every relaxation that `relaxit_torch` exports, by its name in kebab case."""
    return {
        kebab_case(name): value
        for name, value in sorted(vars(relaxit_torch).items())
        if isinstance(value, type) and issubclass(value, RelaxedDistribution)
        if value is not RelaxedDistribution
    }


@dataclass(frozen=True)
class Latent:
    """`variables` independent latent variables per image, all of class `family`.

    `categories` is the size of the event of a vector-valued variable, `options` are constructor
    arguments that are the same for all variables. Raises `InputError` when the class refuses them.
    """

    family: type[RelaxedDistribution]
    variables: int
    categories: int
    options: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        takes = inspect.signature(self.family).parameters
        for name in self.options.keys() - takes.keys():
            raise InputError(f"--{name} must be an option of the latent, but {self.name} has none")
        try:
            # The bound is that of the discrete model: there must be one, and a way to its codes.
            self._example.discrete.log_prob(self._example.harden(self._example.sample()))
        except (ValueError, TypeError, NotImplementedError) as error:
            raise InputError(f"{self.name}: {error}") from error

    @classmethod
    def from_config(cls, config: Config) -> "Latent":
        """The latent that a run asks for. Raises `InputError` when no class has that name."""
        known = relaxations()
        if config.latent not in known:
            raise InputError(f"--latent must be one of {', '.join(known)}, but got {config.latent}")
        family = known[config.latent]
        options = {name: getattr(config, name) for name in OPTIONS if getattr(config, name)}
        for name, parameter in inspect.signature(family).parameters.items():
            if name in OPTIONS and parameter.default is parameter.empty:
                options.setdefault(name, OPTIONS[name])
        categorical = any(constraint.event_dim for constraint in emitted(family).values())
        variables = config.variables or (8 if categorical else 20)
        return cls(family, variables, config.categories, options)

    @property
    def name(self) -> str:
        """The class name in kebab case."""
        return kebab_case(self.family.__name__)

    @cached_property
    def raw_shapes(self) -> dict[str, Size]:
        """Per emitted parameter, the shape of the unconstrained numbers for one image."""
        event = (self.categories,)
        return {
            name: transform_to(constraint).inverse_shape(
                (self.variables, *event * constraint.event_dim)
            )
            for name, constraint in emitted(self.family).items()
        }

    @property
    def parameter_size(self) -> int:
        """How many numbers the encoder emits per image."""
        return sum(math.prod(shape) for shape in self.raw_shapes.values())

    @property
    def code_size(self) -> int:
        """How many numbers the decoder reads per image."""
        return math.prod(self._example.batch_shape + self._example.event_shape)

    def posterior(self, encoded: Tensor, *, validate_args: bool = False) -> RelaxedDistribution:
        """The distribution of the variables given `encoded` of shape `(*batch, parameter_size)`.

        Its batch shape is `(*batch, variables)`; its event shape is that of the class. What the
        encoder emits is valid by construction, and the options were validated once.
        """
        shapes = self.raw_shapes.values()
        parts = encoded.split_with_sizes([math.prod(shape) for shape in shapes], dim=-1)
        parameters = {
            name: transform_to(constraint)(raw.reshape(raw.shape[:-1] + shape))
            for (name, constraint), shape, raw in zip(
                emitted(self.family).items(), shapes, parts, strict=True
            )
        }
        return self.family(**parameters, **self.options, validate_args=validate_args)

    def prior(self) -> Distribution:
        """The uniform discrete law of the variables of one image: batch shape `(variables,)`."""
        return uniform_prior(self._example.discrete)

    @cached_property
    def _example(self) -> RelaxedDistribution:
        return self.posterior(torch.zeros(self.parameter_size), validate_args=True)


def emitted(family: type[RelaxedDistribution]) -> dict[str, constraints.Constraint]:
    """The parameters that the encoder has to supply, with the constraint that each must satisfy."""
    takes = inspect.signature(family).parameters
    known: Any = family.arg_constraints  # torch annotates it as a property of instances
    names = [
        name
        for name, parameter in takes.items()
        if name in known and name not in OPTIONS and parameter.default is parameter.empty
    ]
    if {"probs", "logits"} <= takes.keys():
        names.append("logits")
    return {name: known[name] for name in names}
