"""The base class: everything that a relaxed distribution need not say for itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core import parameters as _parameters
from relaxit_torch.core.half_precision import LOW_PRECISION, from_float16
from relaxit_torch.numerics.noise import Noise
from relaxit_torch.numerics.straight_through import straight_through

Shape = torch.Size | list[int] | tuple[int, ...]


class RelaxedDistribution(TorchDistribution):
    """A random variable written as `relax(noise)`: parameter-free noise and a differentiable map.

    Shapes, here once for all subclasses: `batch_shape` is what the parameters broadcast to,
    without the dimensions of a single event; a sample has shape `(*sample_shape, *batch_shape,
    *event_shape)`, its log density `(*sample_shape, *batch_shape)`. A `temperature` has the batch
    shape and never the event dimensions.

    All parameters come to one dtype and device, those of the samples. float16 and bfloat16
    parameters are raised to float32 for the arithmetic, the result is rounded once. Such a rounded
    value may be a tie that `harden` decides always in the same way: `hard=True` and the log-space
    classes have no such bias. The gradient of `log_prob` with respect to a value is at most the
    greatest number of float16 there.

    With `hard=True` (where a class offers it) samples are exactly those of the discrete law, their
    gradient is that of the relaxed sample, and `log_prob`, `support` and moments are those of
    `discrete`.

    A subclass states `arg_constraints`, `support`, `noise_law`, and implements `_relax`,
    `_log_prob`, `discrete`, `harden`, and `_log_prob_from_noise` where the value can saturate.
    It hands its parameters to `__init__` and inherits the rest.

    Args:
        parameters: by name; numbers or tensors. None of them is changed.
        hard: whether samples are discrete.
        validate_args: whether values of parameters and samples are checked (this synchronises a
            GPU). Names, number and shapes of the parameters are always checked.

    Raises:
        ValueError: a parameter outside its domain (named, with the value and the domain), shapes
            that do not broadcast, or several devices.
    """

    has_rsample = True
    hard: bool = False
    """Whether samples are discrete; always, where a class says so."""
    switches: ClassVar[tuple[str, ...]] = ("hard",)
    """Arguments that are False unless they are given."""
    numbers: ClassVar[frozenset[str]] = frozenset({"temperature"})
    """Parameters that may stay Python numbers: they scale, and carry no shape of their own."""
    noise_law: ClassVar[Noise]
    """The law of one entry of the base noise, from `relaxit_torch.numerics.noise`."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        hard: bool | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if hard is not None:
            self.hard = hard
        given, batch_shape = _parameters.unify(
            parameters, self.arg_constraints, numbers=self.numbers
        )
        # torch's own validation cannot read numbers and does not name the offending entry.
        validate = Distribution._validate_args if validate_args is None else validate_args
        if validate:
            for name, value in given.items():
                region: Any = self.arg_constraints[name]
                _parameters.check(name, value, region)
        self._set_parameters(given, batch_shape)
        if self._dtype in LOW_PRECISION:
            self._made_in_trace = torch.compiler.is_compiling()
        # What the edge of the support means: `dtype` of the copy that works in float32 differs.
        self.storage_dtype = self._dtype
        # All that `Distribution.__init__` does without its validation.
        self._batch_shape, self._event_shape = batch_shape, self._infer_event_shape()
        self._validate_args = validate

    # -- what a subclass implements -------------------------------------------------------------

    def _relax(self, noise: Tensor) -> Tensor:
        """The relaxed value of `noise`; what the backward pass of a hard one differentiates."""
        raise NotImplementedError

    def _log_prob(self, value: Tensor) -> Tensor:
        """The log density of the relaxed law, finite for every value that `relax` can return."""
        raise NotImplementedError

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        return self._log_prob(self._relax(noise))

    def _relax_hard(self, noise: Tensor, soft: Tensor) -> Tensor:
        """The discrete value of `noise`, of which `soft` is the relaxed one."""
        return self.harden(soft)

    def _log_mass(self, value: Tensor) -> Tensor:
        """The score of a hard value, linear in it: so the score of a straight-through sample has a
        gradient, without which a sampled entropy would have none.
        """
        return self.discrete.log_prob(value)

    @property
    def discrete(self) -> Distribution:
        """The discrete distribution that is relaxed."""
        raise NotImplementedError(f"{self._name} relaxes no discrete distribution")

    def harden(self, value: Tensor) -> Tensor:
        """The discrete value of a relaxed one, in the same dtype."""
        raise NotImplementedError(f"{self._name} has no hardening map")

    def _log_space(self) -> RelaxedDistribution:
        raise NotImplementedError(f"{self._name} has no log-space form")

    def _from_log_space(self, value: Tensor) -> Tensor:
        raise NotImplementedError(f"{self._name} has no log-space form")

    def _uniform(self) -> RelaxedDistribution:
        raise NotImplementedError(f"{self._name} has no uniform member")

    def _with(self, **changed: Any) -> Self:
        """The same class and options with other parameters; `probs` gives way to `logits`."""
        kept = {n: v for n, v in self._given.items() if not (n == "probs" and "logits" in changed)}
        options = {n: True for n in self.switches if vars(self).get(n)}
        family: Any = type(self)
        made: Self = family(**(kept | changed), **options, validate_args=False)
        return made

    def _infer_event_shape(self) -> torch.Size:
        """By default the trailing dimensions of a parameter that has as many."""
        support: Any = type(self).support
        event_dim = support.event_dim
        if not event_dim:
            return torch.Size()
        for name, value in self._unexpanded.items():
            if self.arg_constraints[name].event_dim == event_dim and isinstance(value, Tensor):
                return value.shape[-event_dim:]
        raise NotImplementedError(f"{self._name} must implement _infer_event_shape")

    @property
    def log_space(self) -> RelaxedDistribution:
        """The distribution of the logits or logarithms of the values, from the same noise.

        `from_log_space` maps its values back. Its densities stay exact where values of this
        distribution round to the edge of the support. A log-space distribution is its own.

        Raises:
            NotImplementedError: there is no such class.
        """
        return self._log_space()

    def from_log_space(self, value: Tensor) -> Tensor:
        """The value in [0, 1] whose logit or logarithm is `value`, a sample of `log_space`."""
        return self._from_log_space(value)

    def uniform(self) -> RelaxedDistribution:
        """The distribution of the same class, shapes and options that treats all values alike.

        Its `discrete` is uniform. Where a class relaxes no discrete distribution, all entries of
        an event have the same distribution.

        Raises:
            NotImplementedError: the class has no such member.
        """
        return self._uniform()

    # -- sampling -------------------------------------------------------------------------------

    def noise(self, sample_shape: Shape = ()) -> Tensor:
        """Base noise, independent in every entry, without gradient.

        Returns:
            `(*sample_shape, *batch_shape, *noise_event_shape)`, dtype and device of the parameters.
        """
        shape = torch.Size(sample_shape) + self._batch_shape + self._noise_event_shape
        return type(self).noise_law(shape, dtype=self._dtype, device=self._device)

    def relax(self, noise: Tensor) -> Tensor:
        """Maps `noise` to a value, differentiably in the parameters and in `noise`.

        Args:
            noise: `(*sample_shape, *batch_shape, *noise_event_shape)`.
        """
        self._check_shape("noise", noise, self._noise_event_shape)
        working = self._working
        return working._value(noise.to(working.dtype)).to(self.dtype)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """A sample with pathwise gradient: `relax(noise(sample_shape))`.

        Low precision draws its noise in float32, where no two categories tie by rounding.

        Raises:
            NotImplementedError: the distribution is a discrete one, without gradient.
        """
        if not self.has_rsample:
            raise self._without_gradient()
        return self._sample(sample_shape)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """The same without gradient."""
        with torch.no_grad():
            return self._sample(sample_shape)

    def rsample_and_log_prob(self, sample_shape: Shape = ()) -> tuple[Tensor, Tensor]:
        """A sample and its log density, scored from the noise.

        Exact at every temperature, also where the value has saturated in floating point; both
        carry gradients. Raises what `rsample` does.
        """
        if not self.has_rsample:
            raise self._without_gradient()
        noise = self._working.noise(sample_shape)
        return self.relax(noise), self.log_prob_from_noise(noise)

    # -- densities ------------------------------------------------------------------------------

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of the law of `rsample`; base measure in the class's documentation.

        Args:
            value: `(*sample_shape, *batch_shape, *event_shape)`. A coordinate that floating point
                has pushed to the edge of the support scores as the nearest interior number.

        Raises:
            ValueError: with validation, a value outside the support; always, a wrong event shape.
        """
        self._check_shape("value", value, self.event_shape)
        if not value.is_floating_point():
            value = value.to(self.dtype)
        if self._validate_args:
            support: Any = self.support
            _parameters.check("value", value, support)
        working = self._working
        if value.dtype == torch.float16:
            value = from_float16(value)
        log_prob = working._log_mass if self.hard else working._log_prob
        return log_prob(value.to(working.dtype)).to(self.dtype)

    def log_prob_from_noise(self, noise: Tensor) -> Tensor:
        """`log_prob(relax(noise))`, computed from the noise: no rounding of the value enters."""
        self._check_shape("noise", noise, self._noise_event_shape)
        if self.hard:
            return self.log_prob(self.relax(noise))
        working = self._working
        return working._log_prob_from_noise(noise.to(working.dtype)).to(self.dtype)

    # -- moments: those of the discrete law with `hard`, else a subclass's closed form -------------

    @property
    def mean(self) -> Tensor:
        """The mean, where it has a closed form; NotImplementedError otherwise."""
        return self._of_discrete("mean")

    @property
    def variance(self) -> Tensor:
        """The variance, where it has a closed form; NotImplementedError otherwise."""
        return self._of_discrete("variance")

    @property
    def mode(self) -> Tensor:
        """The most likely value, where it has a closed form; NotImplementedError otherwise."""
        return self._of_discrete("mode")

    def entropy(self) -> Tensor:
        """The entropy in nats, where it has a closed form; NotImplementedError otherwise."""
        return self._of_discrete("entropy")

    def _of_discrete(self, name: str) -> Tensor:
        if not self.hard:
            raise NotImplementedError(f"{self._name} has no {name} in closed form")
        moment: Any = getattr(self._working.discrete, name)
        value: Tensor = moment() if callable(moment) else moment
        return value.to(self.dtype)

    # -- plumbing -------------------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of parameters, noise and samples."""
        return self._dtype

    @property
    def device(self) -> torch.device:
        """The device of parameters, noise and samples."""
        return self._device

    def expand(
        self, batch_shape: Shape, _instance: RelaxedDistribution | None = None
    ) -> RelaxedDistribution:
        """The same distribution with parameters expanded (not copied) to `batch_shape`."""
        new = copy.copy(self) if _instance is None else _instance
        new._batch_shape = torch.Size(batch_shape)
        new._set_parameters(self._unexpanded, new._batch_shape)
        return new

    def __deepcopy__(self, memo: dict[int, Any]) -> RelaxedDistribution:
        """Copies parameters before they are expanded: views of leaves cannot be copied."""
        new = copy.copy(self)
        memo[id(self)] = new
        for name, value in vars(self).items():
            if name not in (*self._given, "_raised"):
                setattr(new, name, copy.deepcopy(value, memo))
        new._set_parameters(new._unexpanded, new._batch_shape)
        return new

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            n: v.shape if isinstance(v, Tensor) and v.dim() else v for n, v in self._given.items()
        }
        shown |= {name: True for name in self.switches if vars(self).get(name)}
        return f"{self._name}({', '.join(f'{name}: {value}' for name, value in shown.items())})"

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _without_gradient(self) -> NotImplementedError:
        return NotImplementedError(
            f"{self._name} is discrete and has no gradient: use sample, or a relaxation of it"
        )

    @property
    def _given(self) -> dict[str, _parameters.Parameter]:
        return {name: vars(self)[name] for name in self.arg_constraints if name in vars(self)}

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self._event_shape

    def _set_parameters(
        self, parameters: Mapping[str, _parameters.Parameter], batch_shape: torch.Size
    ) -> None:
        self._unexpanded = dict(parameters)
        self._raised: tuple[list[int], RelaxedDistribution] | None = None
        for name, value in parameters.items():
            if isinstance(value, Tensor):
                event_dim = self.arg_constraints[name].event_dim
                value = _parameters.expand(value, batch_shape, event_dim)
                self._dtype, self._device = value.dtype, value.device
            setattr(self, name, value)

    def _sample(self, sample_shape: Shape) -> Tensor:
        working = self._working
        value = working._value(working.noise(sample_shape))
        return value if working is self else value.to(self.dtype)

    def _value(self, noise: Tensor) -> Tensor:
        """`relax(noise)` without its conversions, on a distribution that is its own `_working`."""
        soft = self._relax(noise)
        return straight_through(self._relax_hard(noise, soft), soft) if self.hard else soft

    @property
    def _working(self) -> RelaxedDistribution:
        """Itself, or a copy in float32, made anew when an optimiser has changed a parameter.

        One copy for all uses, so that gradients are added up in float32 before they are rounded.
        """
        if self._dtype not in LOW_PRECISION:
            return self
        tensors = [value for value in self._unexpanded.values() if isinstance(value, Tensor)]
        if torch.compiler.is_compiling() or any(t.is_inference() for t in tensors):
            known, versions = self._made_in_trace, []  # they have no version that could change
        else:
            known, versions = True, [tensor._version for tensor in tensors]
        if known and self._raised is not None and self._raised[0] == versions:
            return self._raised[1]
        raised = copy.copy(self)
        with torch.enable_grad():  # the copy outlives a call under `no_grad`
            raised._set_parameters(
                {n: v.float() if isinstance(v, Tensor) else v for n, v in self._unexpanded.items()},
                self._batch_shape,
            )
        # Dynamo cannot ask for the inference mode, whose tensors have no gradient ever after.
        if known and (torch.compiler.is_compiling() or not torch.is_inference_mode_enabled()):
            self._raised = versions, raised
        return raised

    def _tempered(self, score: Tensor) -> Tensor:
        """`score / temperature`; overwrites a score that nothing else needs by a quotient."""
        temperature = self._per_event(vars(self)["temperature"])
        # A tensor may have a dimension more, in torch.func.vmap.
        return score / temperature if isinstance(temperature, Tensor) else score.div_(temperature)

    def _per_event(self, parameter: _parameters.Parameter) -> _parameters.Parameter:
        """A parameter of the batch shape, with dimensions of size 1 for those of an event."""
        if not isinstance(parameter, Tensor):
            return parameter
        return parameter[(...,) + (None,) * len(self.event_shape)]

    def _check_shape(self, name: str, tensor: Tensor, event_shape: torch.Size) -> None:
        """Always checked: it costs nothing, and a wrong shape would broadcast without a word."""
        if not isinstance(tensor, Tensor):
            raise TypeError(f"{name} must be a tensor, but got {tensor!r}")
        split = tensor.dim() - len(event_shape)
        batch, event = tensor.shape[: max(split, 0)], tensor.shape[max(split, 0) :]
        pairs = zip(reversed(batch), reversed(self.batch_shape), strict=False)
        if event != event_shape or any(m != n and 1 not in (m, n) for m, n in pairs):
            raise ValueError(
                f"{name} must have a shape that ends with {(*self.batch_shape, *event_shape)}, "
                f"but got {tuple(tensor.shape)}"
            )


class DiscreteDistribution(RelaxedDistribution):
    """A discrete random variable that others relax: `relax(noise)` is exact and has no gradient."""

    has_rsample = False

    @property
    def discrete(self) -> Distribution:
        return self

    def harden(self, value: Tensor) -> Tensor:
        return value
