"""The base class: everything that a relaxed distribution need not say for itself."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Self

import torch
from pyro.distributions import TorchDistribution
from torch import Tensor
from torch.distributions import Distribution

from relaxit_torch.core import parameters as _parameters
from relaxit_torch.core.constraints import check, unit_interval
from relaxit_torch.core.parameters import Parameter
from relaxit_torch.numerics.kernels import straight_through, widened
from relaxit_torch.numerics.noise import Noise

Shape = torch.Size | list[int] | tuple[int, ...]

LOW_PRECISION = (torch.float16, torch.bfloat16)


class RelaxedDistribution(TorchDistribution):
    """A random variable written as `relax(noise)`: parameter-free noise and a differentiable map.

    **Shapes.** `batch_shape` is the shape to which the parameters broadcast, without the dimensions
    of a single event. A sample has shape `(*sample_shape, *batch_shape, *event_shape)`, its log
    density `(*sample_shape, *batch_shape)`. A `temperature` has the batch shape and never the event
    dimensions.

    **Parameters** are read-only. Parameters and samples have one dtype and one device. When a
    tensor changes in place, as under an optimiser, the distribution changes with it. There are two
    exceptions, which the constructor computes once: the float32 copy of parameters in half
    precision, and the Cholesky factor of a matrix without gradient.

    **Half precision and autocast.** With float16 and bfloat16 parameters all arithmetic is float32,
    and the result is rounded once. Rounding can make ties, and `harden` decides every tie in the
    same way. This is a bias, which `hard=True` and the log-space classes do not have. The gradient
    of `log_prob` with respect to a float16 value is at most the largest number of float16.
    `torch.autocast` does not change what a distribution computes.

    **Hard samples.** Some classes take `hard=True`. Then samples are discrete, with the gradient of
    the relaxed sample. `log_prob`, `support` and the moments describe the discrete distribution.

    **For authors.** A subclass states `arg_constraints`, `support` and `base_noise`, hands its
    parameters to `__init__`, and fills hooks. Each public method is written once, here. It checks
    its arguments, raises half precision to float32, and calls one hook:

    | hook | serves | by default |
    | --- | --- | --- |
    | `_relax(noise)` | `relax`, `rsample`, `sample` | required |
    | `_relax_hard(noise)` | the same, with `hard` | `_harden` of `_relax`, straight-through |
    | `_log_prob(value)` | `log_prob` | required |
    | `_log_prob_from_noise(noise)` | `log_prob_from_noise` | `_log_prob` of `_relax` |
    | `_log_mass(value)` | `log_prob`, with `hard` | `discrete.log_prob` |
    | `_harden(value)` | `harden` | an error |
    | `_discrete()` | `discrete` | an error |
    | `_cdf(value)` | `cdf` | an error |
    | `_icdf(value)` | `icdf` | an error |
    | `_mean()` | `mean` | an error |
    | `_variance()` | `variance` | an error |
    | `_mode()` | `mode` | an error |
    | `_entropy()` | `entropy` | an error |
    | `_log_space()` | `log_space` | an error |
    | `_from_log_space(value)` | `from_log_space` | an error |
    | `_uniform()` | `uniform` | an error |
    | `_infer_event_shape()` | `event_shape` | the last dimensions of a parameter |
    | `_noise_event_shape` | `noise` | `event_shape` |

    In a hook that returns a tensor, all tensors are at least float32. `_per_event` gives a tensor
    of the batch shape, such as a temperature, the dimensions of an event.

    Args:
        parameters: by name; numbers or tensors. None of them is changed.
        validate_args: whether values of parameters and samples are checked (this synchronises a
            GPU). Names, number and shapes of the parameters are always checked.
        switches: arguments of the subclass that are true or false, such as `hard`.

    Raises:
        ValueError: a parameter outside its domain (named, with the value and the domain), shapes
            that do not broadcast, or several devices.
        AttributeError: a parameter is assigned to.
    """

    has_rsample = True
    _switches: Mapping[str, bool] = MappingProxyType({})
    hard: bool = False
    """Whether samples are discrete."""
    support: Any
    """The values of relaxed samples, a constraint."""
    hard_support: ClassVar[Any] = None
    """The values of hard samples, where the class has the switch `hard`."""
    numbers: ClassVar[frozenset[str]] = frozenset({"temperature"})
    """Parameters that may stay Python numbers: they scale, and carry no shape of their own."""
    base_noise: ClassVar[Noise]
    """The distribution of one entry of the base noise, from `relaxit_torch.numerics.noise`."""

    def __init__(
        self,
        parameters: Mapping[str, Any],
        *,
        validate_args: bool | None = None,
        **switches: bool,
    ) -> None:
        given, batch_shape = _parameters.unify(
            parameters, self.arg_constraints, numbers=self.numbers
        )
        # torch's own validation cannot read numbers and does not name the offending entry.
        validate = Distribution._validate_args if validate_args is None else validate_args
        if validate:
            for name, value in given.items():
                constraint: Any = self.arg_constraints[name]
                check(name, value, constraint)
        # What `Distribution.__init__` does, without its validation.
        attributes: Any = self.__dict__
        attributes.update(switches, _switches=switches, _validate_args=validate)
        if self.hard and self.hard_support is not None:
            self.support = self.hard_support
        self._set_parameters(given, batch_shape)
        attributes["_stored_dtype"] = self._dtype
        attributes["_event_shape"] = self._infer_event_shape()
        attributes["_raised"] = None
        if self._dtype in LOW_PRECISION:
            self._raise_precision()

    # -- hooks ----------------------------------------------------------------------------------

    def _relax(self, noise: Tensor) -> Tensor:
        raise NotImplementedError

    def _relax_hard(self, noise: Tensor) -> Tensor:
        soft = self._relax(noise)
        return straight_through(self._harden(soft), soft)

    def _log_prob(self, value: Tensor) -> Tensor:
        raise NotImplementedError

    def _log_prob_from_noise(self, noise: Tensor) -> Tensor:
        return self._log_prob(self._relax(noise))

    def _log_mass(self, value: Tensor) -> Tensor:
        # Classes override this with a function that is linear in the value, if there is one. Then
        # the log-probability of a straight-through sample has a gradient, which an entropy that is
        # estimated from samples needs.
        return self._discrete().log_prob(value)

    def _harden(self, value: Tensor) -> Tensor:
        raise self._lacks("hardening map")

    def _discrete(self) -> Distribution:
        raise NotImplementedError(f"{self._name} relaxes no discrete distribution")

    def _cdf(self, value: Tensor) -> Tensor:
        raise self._lacks("cdf in closed form")

    def _icdf(self, value: Tensor) -> Tensor:
        raise self._lacks("icdf in closed form")

    def _mean(self) -> Tensor:
        raise self._lacks("mean in closed form")

    def _variance(self) -> Tensor:
        raise self._lacks("variance in closed form")

    def _mode(self) -> Tensor:
        raise self._lacks("mode in closed form")

    def _entropy(self) -> Tensor:
        raise self._lacks("entropy in closed form")

    def _log_space(self) -> RelaxedDistribution:
        raise self._lacks("log-space form")

    def _from_log_space(self, value: Tensor) -> Tensor:
        raise self._lacks("log-space form")

    def _uniform(self) -> Self:
        raise self._lacks("uniform member")

    def _infer_event_shape(self) -> torch.Size:
        event_dim = self.support.event_dim
        if not event_dim:
            return torch.Size()
        for name, value in self._given.items():
            if self.arg_constraints[name].event_dim == event_dim and isinstance(value, Tensor):
                return value.shape[-event_dim:]
        raise NotImplementedError(f"{self._name} must implement _infer_event_shape")

    @property
    def _noise_event_shape(self) -> torch.Size:
        return self._event_shape

    # -- sampling -------------------------------------------------------------------------------

    def noise(self, sample_shape: Shape = ()) -> Tensor:
        """Base noise, independent in every entry, without gradient.

        Returns:
            `(*sample_shape, *batch_shape, *noise_event_shape)`, dtype and device of the parameters.
        """
        shape = torch.Size(sample_shape) + self._batch_shape + self._noise_event_shape
        return type(self).base_noise(shape, dtype=self._dtype, device=self._device)

    def relax(self, noise: Tensor) -> Tensor:
        """Maps `noise` to a value, differentiably in the parameters and in `noise`.

        Args:
            noise: `(*sample_shape, *batch_shape, *noise_event_shape)`.
        """
        self._check_shape("noise", noise, self._noise_event_shape)
        return self._evaluate("_value", noise)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        """A sample with pathwise gradient: `relax(noise(sample_shape))`.

        Half precision draws its noise in float32, where no two categories tie by rounding.

        Raises:
            NotImplementedError: the distribution is discrete, without gradient.
        """
        if not self.has_rsample:
            raise self._without_gradient()
        return self._evaluate("_draw", sample_shape)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        """A sample without gradient."""
        with torch.no_grad():
            return self._evaluate("_draw", sample_shape)

    def rsample_and_log_prob(self, sample_shape: Shape = ()) -> tuple[Tensor, Tensor]:
        """A sample and its log density, which is computed from the noise.

        Exact at every temperature, also where the value has saturated in floating point. Both
        carry gradients. Raises what `rsample` does.
        """
        if not self.has_rsample:
            raise self._without_gradient()
        working = self._in_float32()
        noise = working.noise(sample_shape)
        value, log_prob = working.relax(noise), working.log_prob_from_noise(noise)
        return value.to(self._dtype), log_prob.to(self._dtype)

    def _draw(self, sample_shape: Shape) -> Tensor:
        noise = self.noise(sample_shape)
        return self._relax_hard(noise) if self.hard else self._relax(noise)

    def _value(self, noise: Tensor) -> Tensor:
        return self._relax_hard(noise) if self.hard else self._relax(noise)

    # -- densities ------------------------------------------------------------------------------

    def log_prob(self, value: Tensor) -> Tensor:
        """Log density of `rsample`'s values; the class says with respect to which base measure.

        Args:
            value: `(*sample_shape, *batch_shape, *event_shape)`. A coordinate that floating point
                has pushed to the edge of the support scores as the nearest interior number.

        Raises:
            ValueError: with validation, a value outside the support; always, a wrong event shape.
        """
        value = self._checked("value", value, self.support)
        return self._evaluate("_log_mass" if self.hard else "_log_prob", value)

    def log_prob_from_noise(self, noise: Tensor) -> Tensor:
        """`log_prob(relax(noise))`, computed from the noise: no rounding of the value enters."""
        self._check_shape("noise", noise, self._noise_event_shape)
        if self.hard:
            return self.log_prob(self.relax(noise))
        return self._evaluate("_log_prob_from_noise", noise)

    def cdf(self, value: Tensor) -> Tensor:
        """The probability that a sample is at most `value`.

        Raises:
            NotImplementedError: there is no closed form, or samples are hard (use `discrete`).
            ValueError: with validation, a value outside the support.
        """
        self._require_closed_form("cdf")
        return self._evaluate("_cdf", self._checked("value", value, self.support))

    def icdf(self, value: Tensor) -> Tensor:
        """The inverse of `cdf`: the value that a sample exceeds with probability `1 - value`.

        Raises:
            NotImplementedError: it has no closed form, or samples are hard: take `discrete`.
            ValueError: with validation, a probability outside [0, 1].
        """
        self._require_closed_form("icdf")
        return self._evaluate("_icdf", self._checked("value", value, unit_interval))

    # -- the discrete distribution, and other members ---------------------------------------------

    @property
    def discrete(self) -> Distribution:
        """The discrete distribution that is relaxed; NotImplementedError if there is none."""
        return self._discrete()

    def harden(self, value: Tensor) -> Tensor:
        """The discrete value of a relaxed one, in the same dtype.

        Raises:
            NotImplementedError: the class defines no such map.
        """
        return self._harden(value)

    @property
    def log_space(self) -> RelaxedDistribution:
        """The distribution of the logits or logarithms of the values, from the same noise.

        `from_log_space` maps log-space values back. Log-space densities stay exact where values of
        this distribution round to the edge of the support. A log-space distribution returns itself.

        Raises:
            NotImplementedError: there is no such class.
        """
        return self._log_space()

    def from_log_space(self, value: Tensor) -> Tensor:
        """The value in [0, 1] whose logit or logarithm is `value`, a sample of `log_space`."""
        return self._from_log_space(value)

    def uniform(self) -> Self:
        """The distribution of the same class, shapes and options that treats all values alike.

        Its `discrete` is uniform. Where a class relaxes no discrete distribution, all entries of
        an event have the same distribution.

        Raises:
            NotImplementedError: the class has no such member.
        """
        made = self._in_float32()._uniform()
        if made._dtype == self._dtype:
            return made
        tensors = {n: v.to(self._dtype) for n, v in made._given.items() if isinstance(v, Tensor)}
        return made._with(**tensors)

    # -- moments ----------------------------------------------------------------------------------

    @property
    def mean(self) -> Tensor:
        """The mean, where it has a closed form; NotImplementedError otherwise."""
        return self._moment("mean")

    @property
    def variance(self) -> Tensor:
        """The variance, where it has a closed form; NotImplementedError otherwise."""
        return self._moment("variance")

    @property
    def mode(self) -> Tensor:
        """The most likely value, where it has a closed form; NotImplementedError otherwise."""
        return self._moment("mode")

    def entropy(self) -> Tensor:
        """The entropy in nats, where it has a closed form; NotImplementedError otherwise."""
        return self._moment("entropy")

    def _moment(self, name: str) -> Tensor:
        return (
            self._evaluate("_moment_of_discrete", name) if self.hard else self._evaluate(f"_{name}")
        )

    def _moment_of_discrete(self, name: str) -> Tensor:
        moment: Any = getattr(self._discrete(), name)
        value: Tensor = moment() if callable(moment) else moment
        return value

    # -- dtype, shape and checks ------------------------------------------------------------------

    @property
    def dtype(self) -> torch.dtype:
        """The dtype of parameters, noise and samples."""
        return self._dtype

    @property
    def device(self) -> torch.device:
        """The device of parameters, noise and samples."""
        return self._device

    def _evaluate(self, hook: str, argument: Any = None) -> Tensor:
        """Calls a hook in at least float32. The result has the dtype of the distribution."""
        if self._dtype in LOW_PRECISION:
            return self._in_float32()._evaluate(hook, argument).to(self._dtype)
        if torch._C._is_any_autocast_enabled() and is_lowered(self._device):
            with torch.autocast(self._device.type, enabled=False):
                return self._evaluate(hook, argument)
        if isinstance(argument, Tensor):
            argument = argument.to(self._dtype)
        method: Any = getattr(self, hook)
        result: Tensor = method() if argument is None else method(argument)
        return result

    def _in_float32(self) -> Self:
        """This distribution or, in half precision, its float32 copy.

        All methods share one copy, so that gradients are summed before they are rounded.
        """
        if self._raised is None and self._dtype in LOW_PRECISION:
            self._raise_precision()  # after it was unpickled
        return self if self._raised is None else self._raised

    def expand(self, batch_shape: Shape, _instance: Self | None = None) -> Self:
        """The same distribution with parameters expanded (not copied) to `batch_shape`."""
        new = copy.copy(self) if _instance is None else _instance
        new._set_parameters(self._given, torch.Size(batch_shape))
        new._raised = None if self._raised is None else self._raised.expand(batch_shape)
        return new

    def _set_parameters(self, given: Mapping[str, Any], batch_shape: torch.Size) -> None:
        attributes: Any = self.__dict__  # past `__setattr__`, which refuses parameters
        attributes.update(_given=dict(given), _batch_shape=batch_shape)
        for name, value in given.items():
            if isinstance(value, Tensor):
                event_dim = self.arg_constraints[name].event_dim
                value = _parameters.expand(value, batch_shape, event_dim)
                tensor = value
            attributes[name] = value
        attributes["_dtype"], attributes["_device"] = tensor.dtype, tensor.device

    def _raise_precision(self) -> None:
        raised = copy.copy(self)
        with torch.enable_grad():  # the copy outlives a call under `no_grad`
            given = {n: v.float() if isinstance(v, Tensor) else v for n, v in self._given.items()}
        raised._set_parameters(given, self._batch_shape)
        self._raised = raised

    _raised: Self | None = None
    """The float32 copy of half precision."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.arg_constraints or name in self._switches or name == "hard":
            raise AttributeError(
                f"{name} of {self._name} is read-only: make a new distribution with another {name}"
            )
        object.__setattr__(self, name, value)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        """Copies parameters before they are expanded: views of leaves cannot be copied."""
        new = copy.copy(self)
        memo[id(self)] = new
        new._set_parameters(copy.deepcopy(self._given, memo), self._batch_shape)
        if self._dtype in LOW_PRECISION:
            new._raise_precision()
        return new

    def __getstate__(self) -> dict[str, Any]:
        """The state to pickle. The float32 copy has no leaves, and is made again later."""
        return {**vars(self), "_raised": None}

    def __repr__(self) -> str:
        shown: dict[str, Any] = {
            n: v.shape if isinstance(v, Tensor) and v.dim() else v for n, v in self._given.items()
        }
        shown |= {name: True for name, on in self._switches.items() if on}
        return f"{self._name}({', '.join(f'{name}: {value}' for name, value in shown.items())})"

    @property
    def _name(self) -> str:
        return type(self).__name__

    def _with(self, **changed: Any) -> Self:
        """The same class and options with other parameters; `probs` gives way to `logits`."""
        kept = {n: v for n, v in self._given.items() if not (n == "probs" and "logits" in changed)}
        family: Any = type(self)
        made: Self = family(**(kept | changed), **self._switches, validate_args=False)
        return made

    def _per_event(self, parameter: Parameter) -> Parameter:
        """A tensor of the batch shape, with a dimension of size 1 for each event dimension."""
        if not isinstance(parameter, Tensor):
            return parameter
        return parameter[(...,) + (None,) * len(self.event_shape)]

    def _lacks(self, what: str) -> NotImplementedError:
        return NotImplementedError(f"{self._name} has no {what}")

    def _without_gradient(self) -> NotImplementedError:
        return NotImplementedError(
            f"{self._name} is discrete and has no gradient: use sample, or a relaxation of it"
        )

    def _require_closed_form(self, method: str) -> None:
        if self.hard:
            raise NotImplementedError(f"{self._name}(hard=True) has no {method}: use discrete")
        hook = f"_{method}"
        if getattr(type(self), hook) is getattr(RelaxedDistribution, hook):
            raise self._lacks(f"{method} in closed form")

    def _checked(self, name: str, value: Tensor, constraint: Any) -> Tensor:
        """A value of the right shape and a float dtype, which with validation is in a region."""
        shape = self._batch_shape + self._event_shape
        if not isinstance(value, Tensor) or value.shape[-len(shape) or value.dim() :] != shape:
            self._check_shape(name, value, self._event_shape)
        if not value.is_floating_point():
            value = value.to(self._dtype)
        if self._validate_args:
            check(name, value, constraint)
        return widened(value) if value.dtype == torch.float16 else value

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


def is_lowered(device: torch.device) -> bool:
    """Whether `torch.autocast` lowers the dtype of operations on a device."""
    return device.type != "meta" and torch.is_autocast_enabled(device.type)


class DiscreteDistribution(RelaxedDistribution):
    """A discrete random variable that others relax: `relax(noise)` is exact and has no gradient."""

    has_rsample = False

    def _discrete(self) -> Distribution:
        return self

    def _harden(self, value: Tensor) -> Tensor:
        return value
