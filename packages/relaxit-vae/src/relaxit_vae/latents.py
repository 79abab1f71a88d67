"""Latent variables of any kind, built from what a distribution class says about itself.

A class of `relaxit_torch` is found by its name in kebab case. Its constructor signature and
`arg_constraints` tell what the encoder has to emit: the parameters that have no default and are not
options of the run, and of those that exclude each other (`probs` and `logits`) the one in
`PREFERRED`. `torch.distributions.transform_to` turns unconstrained numbers into valid parameters,
so nothing here knows a method by name.

Shapes are found by asking an example. An event whose coordinates are free of each other is the
vector of all variables of an image; one on a simplex is a single categorical variable.
"""

import inspect
import math
import re
from collections.abc import Mapping
from dataclasses import fields
from functools import cached_property
from typing import Any

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, transform_to

import relaxit_torch
from relaxit_torch import RelaxedDistribution
from relaxit_vae.codes import Code
from relaxit_vae.config import Config, Divergence, flag
from relaxit_vae.errors import InputError
from relaxit_vae.objective import law_kl, relaxed_kl
from relaxit_vae.seeds import drawn_from

PREFERRED = ("logits", "scale", "correlation_cholesky")
"""Of parameters that exclude each other, those that are used."""

DEFAULTS = {"temperature": 0.5, "k": 2}
"""Values of options where the class has no default."""

OPTIONS = [declared.name for declared in fields(Config) if declared.metadata["latent"]]
"""Constructor arguments that a run sets."""


def kebab_case(name: str) -> str:
    """How a class is named on the command line.

    Example:
        >>> kebab_case("GumbelSoftmaxTopK")
        'gumbel-softmax-top-k'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def relaxations() -> dict[str, type[RelaxedDistribution]]:
    """Every relaxation that `relaxit_torch` exports and that can be a latent variable, by its name
    in kebab case.

    One number cannot make all values of a vector equally likely, as a uniform prior does: where
    events are vectors, so must a parameter be.
    """
    return {
        kebab_case(name): value
        for name, value in sorted(vars(relaxit_torch).items())
        if isinstance(value, type) and issubclass(value, RelaxedDistribution)
        if value is not RelaxedDistribution and value.has_rsample and _can_be_uniform(value)
    }


def _can_be_uniform(family: Any) -> bool:
    vectors = [region.event_dim > 0 for region in family.arg_constraints.values()]
    return any(vectors) or family.support.event_dim == 0


def emitted(family: type[RelaxedDistribution]) -> dict[str, Any]:
    """The parameters that have to be supplied, with the constraint that each must satisfy."""
    known: Any = family.arg_constraints  # torch annotates it as a property of instances
    return {
        name: known[name]
        for name, parameter in inspect.signature(family).parameters.items()
        if name in known
        if (name not in DEFAULTS and parameter.default is parameter.empty)
        or (name in PREFERRED and parameter.default is None)
    }


class Latent(nn.Module):
    """The latent variables of an image, all of class `family`, with their prior.

    Args:
        family: the class.
        variables: how many there are; by default 20, or 8 if they are categorical.
        categories: the size of the event of a categorical variable.
        options: constructor arguments that are the same for all images and variables.
        correlation: `identity`, or `learned`: one for all images.
        prior: `uniform`, or `learned`: the parameters of the relaxed law, hence of the discrete.

    Raises:
        InputError: the class refuses them.
    """

    @torch.inference_mode(False)  # the search for the prior needs gradients
    @torch.enable_grad()
    def __init__(
        self,
        family: type[RelaxedDistribution],
        *,
        variables: int | None = None,
        categories: int = 16,
        options: Mapping[str, Any] | None = None,
        correlation: str | None = None,
        prior: str = "uniform",
    ) -> None:
        super().__init__()
        self.family, self.name = family, kebab_case(family.__name__)
        self.constraints = emitted(family)
        # A matrix relates the variables to each other: it is one for all images, not emitted.
        shared = [name for name, region in self.constraints.items() if region.event_dim > 1]
        self.emitted = [name for name in self.constraints if name not in shared]
        self.options = self._checked(options or {})
        if correlation and not shared:
            raise self._refusal("correlation")
        try:
            example = self._example(categories)
            categorical = _is_categorical(example)
            self.variables = variables or (8 if categorical else 20)
            self.raw_shapes = self._shapes(example, categories)
            no_correlation = {name: torch.zeros(self.raw_shapes[name]) for name in shared}
            self.shared = nn.ParameterDict(no_correlation)
            self.shared.requires_grad_(correlation != "identity")
            self.uniform = prior == "uniform"
            raw_prior = self._uniform_prior() if self.uniform else torch.zeros(self.parameter_size)
            self.raw_prior = nn.Parameter(raw_prior, requires_grad=not self.uniform)
            self.prior()
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{self.name}: {error}") from error

    @classmethod
    def from_config(cls, config: Config) -> "Latent":
        """The latent that a run asks for. Raises `InputError` when no class has that name."""
        known = relaxations()
        if config.latent not in known:
            raise InputError(f"--latent must be one of {', '.join(known)}, but got {config.latent}")
        given = {name: getattr(config, name) for name in OPTIONS}
        return cls(
            known[config.latent],
            variables=config.variables,
            categories=config.categories,
            options={
                name: value
                for name, value in given.items()
                if value is not None and value is not False
            },
            correlation=config.correlation,
            prior=config.prior,
        )

    @property
    def parameter_size(self) -> int:
        """How many numbers the encoder emits per image."""
        return sum(math.prod(self.raw_shapes[name]) for name in self.emitted)

    @cached_property
    def code_shape(self) -> Size:
        """The shape of what the decoder reads per image."""
        prior = self.prior()
        return prior.batch_shape + prior.event_shape

    @property
    def code_size(self) -> int:
        """How many numbers that is."""
        return math.prod(self.code_shape)

    @property
    def temperature(self) -> float | None:
        """The temperature now, of a class that has one."""
        takes = inspect.signature(self.family).parameters
        if "temperature" not in takes:
            return None
        temperature: float = self.options.get("temperature", takes["temperature"].default)
        return temperature

    @temperature.setter
    def temperature(self, value: float) -> None:
        self.options["temperature"] = value

    def posterior(self, encoded: Tensor, *, log_space: bool = False) -> RelaxedDistribution:
        """The distribution given `encoded` of shape `(*batch, parameter_size)`.

        Its batch shape is `(*batch, variables)`; `batch` where an event is the vector of all
        variables. What the encoder emits is valid by construction, and the options were validated
        once. With `log_space` it is in double precision and, where there is such a class, of the
        logit or the logarithm of the variable: densities stay exact where the variable saturates.
        """
        return self._distribution(encoded, dict(self.shared.items()), log_space=log_space)

    def prior(self, *, log_space: bool = False) -> RelaxedDistribution:
        """The relaxed prior of one image, without correlation."""
        shared = {name: torch.zeros_like(raw) for name, raw in self.shared.items()}
        return self._distribution(self.raw_prior, shared, log_space=log_space)

    def code_prior(self) -> Distribution:
        """The prior of `Code`: exactly uniform, unless it is learned or no discrete law.

        Its bits are free of each other, as `SignsOfNormal` needs it.
        """
        law = Code.of(self.prior()).law
        return uniform_like(law) if self.uniform and hasattr(law, "logits") else law

    def default_kl(self) -> Divergence:
        """The divergence that makes the objective a lower bound of a model that is evaluated.

        Hard values are codes of the discrete model. Relaxed ones are those of the relaxed model:
        its divergence is taken in `closed-form` if there is one, and otherwise at the sample. Where
        the relaxed laws have no finite one, `discrete` remains, which makes it a bound of neither.
        """
        if self.is_hard or not self.is_finite:
            return "discrete"
        with drawn_from("example"), torch.no_grad():
            posterior = self.posterior(torch.randn(1, self.parameter_size))
        return "closed-form" if _has_kl(posterior, self.prior()) else "relaxed"

    @cached_property
    def is_hard(self) -> bool:
        """Whether samples are discrete."""
        return self.prior().hard

    @cached_property
    def is_finite(self) -> bool:
        """Whether the relaxed law has a finite divergence from the prior."""
        with drawn_from("example"), torch.no_grad():
            posterior = self.posterior(torch.randn(self.parameter_size), log_space=True)
            value = posterior.sample((100,))
            divergence = relaxed_kl(value, posterior, self.prior(log_space=True))
        return bool(divergence.isfinite().all())

    @cached_property
    def is_relaxed(self) -> bool:
        """Whether a relaxed model exists, besides the one with the latent `Code`."""
        return self.is_finite and not self.is_hard and self.code_kind != "relaxed"

    @cached_property
    def code_kind(self) -> str:
        """What the latent variable of the evaluated model is, in words."""
        prior = self.prior()
        if Code.of(prior).law is prior:
            return "relaxed"
        try:
            with drawn_from("example"):
                prior.harden(prior.sample())
        except NotImplementedError:
            return "discrete, matched in mean"
        return "discrete"

    @cached_property
    def log_space_family(self) -> type[RelaxedDistribution]:
        """The class whose values are logits or logarithms of this one's, from the same noise."""
        if self.is_hard:
            return self.family  # 0 and 1 saturate nowhere
        with drawn_from("example"), torch.no_grad():
            example = self.posterior(torch.randn(self.parameter_size))
            parameters = {name: getattr(example, name) for name in self.constraints}
            noise = example.noise()
            value = example.relax(noise)
            for family in relaxations().values():
                arguments = parameters | self.options
                takes = inspect.signature(family).parameters
                same = emitted(family).keys() == parameters.keys()
                if not same or not required(family) <= arguments.keys() <= takes.keys():
                    continue
                other = family(**arguments)
                if other.event_shape != example.event_shape or not _is_log_space(other):
                    continue
                if torch.allclose(readable(other, other.relax(noise)), value, atol=1e-6):
                    return family
        return self.family

    def _distribution(
        self, encoded: Tensor, shared: Mapping[str, Tensor], *, log_space: bool = False
    ) -> RelaxedDistribution:
        sizes = [math.prod(self.raw_shapes[name]) for name in self.emitted]
        parts = zip(self.emitted, encoded.split_with_sizes(sizes, dim=-1), strict=True)
        raw = {name: part.reshape(part.shape[:-1] + self.raw_shapes[name]) for name, part in parts}
        parameters = {
            name: transform_to(region)(
                (raw | dict(shared))[name].to(torch.float64 if log_space else encoded.dtype)
            )
            for name, region in self.constraints.items()
        }
        family = self.log_space_family if log_space else self.family
        return family(**parameters, **self.options, validate_args=False)

    def _example(self, size: int) -> RelaxedDistribution:
        """One variable whose vectors of parameters have so many entries."""
        parameters = {}
        for name, region in self.constraints.items():
            transform = transform_to(region)
            shape = transform.inverse_shape(Size((size,) * region.event_dim))
            parameters[name] = transform(torch.zeros(shape))
        return self.family(**parameters, **self.options, validate_args=True)

    def _shapes(self, example: RelaxedDistribution, categories: int) -> dict[str, Size]:
        """Per parameter, the shape of the unconstrained numbers for one image."""
        batch: tuple[int, ...] = (self.variables,)
        size = categories
        if _is_categorical(example):
            size -= example.event_shape[-1] - categories  # some have K - 1 for K categories
        elif example.event_shape:
            batch, size = (), self.variables
        return {
            name: transform_to(region).inverse_shape(
                Size((*batch * (name in self.emitted), *(size,) * region.event_dim))
            )
            for name, region in self.constraints.items()
        }

    def _uniform_prior(self) -> Tensor:
        """Downhill from 0, the first parameters that relax a uniform discrete law."""
        raw = torch.zeros(self.parameter_size, dtype=torch.float64, requires_grad=True)
        shared = {name: value.detach() for name, value in self.shared.items()}
        optimizer = torch.optim.LBFGS(
            [raw], max_iter=100, tolerance_grad=1e-9, line_search_fn="strong_wolfe"
        )

        def distance() -> Tensor:
            law: Any = Code.of(self._distribution(raw, shared)).law
            logits = getattr(law, "logits", torch.zeros(1, dtype=raw.dtype, requires_grad=True))
            same = logits.mean(dim=-1, keepdim=True) if law.event_shape else 0
            loss = (logits - same).square().sum()
            optimizer.zero_grad()
            loss.backward()
            return loss

        optimizer.step(distance)
        return raw.detach().to(torch.get_default_dtype())

    def _checked(self, options: Mapping[str, Any]) -> dict[str, Any]:
        takes = inspect.signature(self.family).parameters
        for name in options:
            if name not in takes or name in self.constraints:
                raise self._refusal(name)
        needed = required(self.family)
        return {name: value for name, value in DEFAULTS.items() if name in needed} | dict(options)

    def _refusal(self, name: str) -> InputError:
        return InputError(f"{flag(name)} must be an option of the latent, but {self.name} has none")


def readable(distribution: RelaxedDistribution, value: Tensor) -> Tensor:
    """What the decoder is given for a relaxed value: weights in [0, 1], not their logits."""
    if not _is_log_space(distribution):
        return value
    return value.exp() if distribution.event_shape else value.sigmoid()


def required(family: type[Distribution]) -> set[str]:
    """The constructor arguments that have no default."""
    takes = inspect.signature(family).parameters
    return {name for name, parameter in takes.items() if parameter.default is parameter.empty}


def uniform_like(law: Any) -> Distribution:
    """The law of the same class and shape as one with `logits` under which all values are as
    likely.
    """
    arguments = {name: getattr(law, name) for name in required(type(law))}
    logits = torch.zeros_like(law.logits)
    prior: Distribution = type(law)(**arguments, logits=logits, validate_args=False)
    return prior


def _has_kl(posterior: Distribution, prior: Distribution) -> bool:
    try:
        law_kl(posterior, prior)
    except NotImplementedError:
        return False
    return True


def _is_log_space(distribution: RelaxedDistribution) -> bool:
    support: Any = distribution.support
    regions = relaxit_torch.core.constraints
    return support is regions.real or support is regions.log_simplex


def _is_categorical(example: RelaxedDistribution) -> bool:
    """Whether the coordinates of an event constrain each other; (1, 1, ...) shows it."""
    support: Any = example.support
    return bool(example.event_shape) and not support.check(torch.ones(example.event_shape)).all()
