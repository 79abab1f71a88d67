"""The latent variables of a model: a table with a row for each class, and the module `Latent`.

The distributions say what is mathematics: their constraints, their discrete distribution, their
uniform member and their log-space form. The table says what this application chooses.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import torch
from torch import Size, Tensor, nn
from torch.distributions import Distribution, transform_to

from relaxit_torch import (
    BinaryConcrete,
    CorrelatedRelaxedBernoulli,
    ExpGumbelSoftmax,
    GaussianRelaxedBernoulli,
    GumbelRao,
    GumbelSoftmax,
    GumbelSoftmaxTopK,
    HardConcrete,
    InvertibleGaussian,
    LogisticNormalSoftmax,
    LogitBinaryConcrete,
    RelaxedDistribution,
    StochasticTimesSmooth,
    StraightThroughBernoulli,
)
from relaxit_vae.codes import Code
from relaxit_vae.config import Config, Divergence, flag
from relaxit_vae.errors import InputError


def kebab_case(name: str) -> str:
    """Returns the name of a class as the command line has it.

    Example:
        >>> kebab_case("GumbelSoftmaxTopK")
        'gumbel-softmax-top-k'
    """
    return re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


@dataclass(frozen=True)
class LatentClass:
    """A class of `relaxit_torch` as a latent variable: one row of the table."""

    family: type[RelaxedDistribution]
    options: Mapping[str, Any] = field(default_factory=dict)
    """Options of `Config` that the class takes, with their defaults."""
    categorical: bool = False
    """Whether a variable has categories."""
    emits: tuple[str, ...] = ("logits",)
    """Parameters that the encoder emits for each image."""
    shares: tuple[str, ...] = ()
    """Parameters that all images share. With one, an event is the vector of all variables."""
    fixed_categories: int = 0
    """How many of the categories have no parameter."""
    divergences: tuple[Divergence, ...] = ("closed-form", "relaxed", "discrete")
    """Divergences that training with relaxed samples can use. The first one is the default."""
    log_space: bool = False
    """Whether relaxed samples have a log-space form."""
    code: Literal["discrete", "discrete, matched in mean", "relaxed"] = "discrete"
    """The latent variable of the evaluated model. It is `discrete, matched in mean` where relaxed
    samples have only the mean of the discrete variable, and `relaxed` without a discrete variable.
    """

    @property
    def name(self) -> str:
        """The class in kebab case."""
        return kebab_case(self.family.__name__)

    @property
    def variables(self) -> int:
        """The default number of variables per image."""
        return 8 if self.categorical else 20


ROWS = (
    LatentClass(BinaryConcrete, {"temperature": 0.5, "hard": False}, log_space=True),
    LatentClass(
        CorrelatedRelaxedBernoulli,
        {"temperature": 0.5},
        shares=("correlation_cholesky",),
        divergences=("relaxed",),
    ),
    LatentClass(ExpGumbelSoftmax, {"temperature": 0.5}, categorical=True, log_space=True),
    LatentClass(GaussianRelaxedBernoulli, {"scale": 0.5}, emits=("loc",)),
    LatentClass(GumbelRao, {"temperature": 0.5}, categorical=True),
    LatentClass(
        GumbelSoftmax, {"temperature": 0.5, "hard": False}, categorical=True, log_space=True
    ),
    LatentClass(
        GumbelSoftmaxTopK,
        {"k": 2, "temperature": 0.5, "hard": False, "independent_noise": False},
        categorical=True,
        divergences=("closed-form", "relaxed"),
    ),
    LatentClass(
        HardConcrete,
        {"temperature": 2 / 3, "low": -0.1, "high": 1.1},
        divergences=("relaxed", "discrete"),
    ),
    LatentClass(
        InvertibleGaussian,
        {"temperature": 0.5, "delta": 1.0},
        categorical=True,
        emits=("loc", "scale"),
        fixed_categories=1,
    ),
    LatentClass(
        LogisticNormalSoftmax,
        categorical=True,
        emits=("loc", "scale"),
        divergences=("closed-form", "relaxed"),
        code="relaxed",
    ),
    LatentClass(LogitBinaryConcrete, {"temperature": 0.5}, log_space=True),
    LatentClass(StochasticTimesSmooth, divergences=("discrete",), code="discrete, matched in mean"),
    LatentClass(StraightThroughBernoulli),
)
LATENTS = {row.name: row for row in ROWS}
"""The rows by name."""

NOT_LATENTS = {
    "generalized-gumbel-softmax": "it has one rate for all categories, so that no choice of its "
    "parameters makes them equally likely, as a uniform prior does"
}
"""Relaxations that cannot be latent variables, with the reason."""


class Latent(nn.Module):
    """The latent variables of an image, all of one class, with their prior.

    Args:
        row: the class, with the choices for it.
        variables: how many variables an image has. Default: see `row`.
        categories: the number of categories of each variable.
        options: values that replace defaults in `row.options`.
        correlation: `identity`, or `learned`: one matrix for all images. Default: `learned`.
        prior: `uniform`, or `learned`: the parameters of the relaxed prior are trained.

    Raises:
        InputError: the class does not take an option, or refuses its value.
    """

    def __init__(
        self,
        row: LatentClass,
        *,
        variables: int | None = None,
        categories: int = 16,
        options: Mapping[str, Any] | None = None,
        correlation: str | None = None,
        prior: str = "uniform",
    ) -> None:
        super().__init__()
        given = options or {}
        for name in given:
            if name not in row.options:
                raise _refused(name, row)
        if correlation and not row.shares:
            raise _refused("correlation", row)
        self.row, self.options = row, {**row.options, **given}
        self.variables = variables or row.variables
        known: Any = row.family.arg_constraints  # torch annotates it as a property of instances
        self.transforms = {name: transform_to(known[name]) for name in (*row.emits, *row.shares)}
        batch = () if row.shares else (self.variables,)
        size = self.variables if row.shares else categories - row.fixed_categories
        self.raw_shapes = {
            name: transform.inverse_shape(
                Size((*batch * (name in row.emits), *(size,) * known[name].event_dim))
            )
            for name, transform in self.transforms.items()
        }
        self.shared = nn.ParameterDict(
            {name: torch.zeros(self.raw_shapes[name]) for name in row.shares}
        )
        self.shared.requires_grad_(correlation != "identity")
        self.uniform = prior == "uniform"
        self.raw_prior = nn.Parameter(
            torch.zeros(self.parameter_size), requires_grad=not self.uniform
        )
        try:
            shared = dict(self.shared.items())
            example = self._distribution(self.raw_prior, shared, validate_args=True)
        except (ValueError, TypeError, RuntimeError) as error:
            raise InputError(f"{row.name}: {error}") from error
        self.code_shape = example.batch_shape + example.event_shape
        """The shape of what the decoder reads per image."""
        self.is_hard = example.hard
        """Whether samples are discrete."""

    @classmethod
    def from_config(cls, config: Config) -> "Latent":
        """Returns the latent of a run.

        Raises:
            InputError: no class has that name, or see `Latent`.
        """
        if config.latent not in LATENTS:
            reason = NOT_LATENTS.get(config.latent)
            raise InputError(
                f"--latent must be one of {', '.join(LATENTS)}, but got {config.latent}"
                + (f": {reason}" if reason else "")
            )
        names = {name for row in ROWS for name in row.options}
        values = {name: getattr(config, name) for name in sorted(names)}
        return cls(
            LATENTS[config.latent],
            variables=config.variables,
            categories=config.categories,
            options={n: v for n, v in values.items() if v is not None and v is not False},
            correlation=config.correlation,
            prior=config.prior,
        )

    @property
    def parameter_size(self) -> int:
        """How many numbers the encoder emits per image."""
        return sum(math.prod(self.raw_shapes[name]) for name in self.row.emits)

    @property
    def temperature(self) -> float | None:
        """The temperature now; `None` for a class without one."""
        return self.options.get("temperature")

    @temperature.setter
    def temperature(self, value: float) -> None:
        self.options["temperature"] = value

    @property
    def divergences(self) -> tuple[Divergence, ...]:
        """The divergences that training can use. The first one is the default.

        With the default the objective is a lower bound of a model that is evaluated: of the
        discrete model with hard samples, otherwise of the relaxed model. Where only `discrete`
        remains for relaxed samples, it bounds neither.
        """
        if not self.is_hard:
            return self.row.divergences
        if self.code(self.prior()).has_closed_form_kl:
            return ("discrete", "relaxed", "closed-form")
        return ("discrete", "relaxed")

    @property
    def has_relaxed_model(self) -> bool:
        """Whether there is a relaxed model besides the one whose latent is the code."""
        return not self.is_hard and self.row.code != "relaxed" and "relaxed" in self.divergences

    def posterior(self, encoded: Tensor, *, log_space: bool = False) -> RelaxedDistribution:
        """Returns the distribution given `encoded`, of shape `(*batch, parameter_size)`.

        Its batch shape is `(*batch, variables)`, or `batch` where an event is the vector of all
        variables. With `log_space` it is in double precision and in the log-space form, if there is
        one: densities stay exact where the variable itself rounds to 0 or 1.
        """
        return self._distribution(encoded, dict(self.shared.items()), log_space=log_space)

    def prior(self, *, log_space: bool = False) -> RelaxedDistribution:
        """Returns the relaxed prior of one image, without correlation."""
        shared = {name: torch.zeros_like(raw) for name, raw in self.shared.items()}
        prior = self._distribution(self.raw_prior, shared, log_space=log_space)
        return prior.uniform() if self.uniform else prior

    def code(self, distribution: RelaxedDistribution) -> Code:
        """Returns the latent variable of the evaluated model for a posterior or a prior."""
        if self.row.code == "relaxed":
            return Code(distribution)
        return Code.of(distribution)

    def code_prior(self) -> Distribution:
        """Returns the prior of the code. Its variables are independent."""
        return self.code(self.prior()).distribution

    def _distribution(
        self,
        encoded: Tensor,
        shared: Mapping[str, Tensor],
        *,
        log_space: bool = False,
        validate_args: bool = False,
    ) -> RelaxedDistribution:
        sizes = [math.prod(self.raw_shapes[name]) for name in self.row.emits]
        parts = zip(self.row.emits, encoded.split_with_sizes(sizes, dim=-1), strict=True)
        raw = {name: part.reshape(part.shape[:-1] + self.raw_shapes[name]) for name, part in parts}
        dtype = torch.float64 if log_space else encoded.dtype
        parameters = {
            name: transform((raw | dict(shared))[name].to(dtype))
            for name, transform in self.transforms.items()
        }
        distribution = self.row.family(**parameters, **self.options, validate_args=validate_args)
        # Hard samples are exactly 0 and 1 and need no log-space form.
        in_log_space = log_space and self.row.log_space and not distribution.hard
        return distribution.log_space if in_log_space else distribution


def readable(distribution: RelaxedDistribution, value: Tensor) -> Tensor:
    """Returns what the decoder reads for a value: numbers in [0, 1], not their logarithms."""
    if isinstance(distribution, LogitBinaryConcrete | ExpGumbelSoftmax):
        return distribution.from_log_space(value)
    return value


def _refused(option: str, row: LatentClass) -> InputError:
    return InputError(f"{flag(option)} must be an option of the latent, but {row.name} has none")
