"""What every constructor does with its arguments: choose, unify, broadcast, derive.

All functions name the parameter in their errors: TypeError for an argument of another kind,
ValueError for a value, shape or device that does not fit.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from numbers import Real
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from relaxit_torch.core.constraints import Region, check, count

Parameter = float | Tensor
T = TypeVar("T")


class derived(Generic[T]):  # noqa: N801 (a decorator, like property)
    """A parameter that follows from the one that was given (`probs` from `logits`).

    Computed at each access, never stored: a stored tensor would carry the autograd graph of its
    first use into the second, where it has been freed. A parameter that was given lies in the
    instance and hides this descriptor.
    """

    def __init__(self, function: Callable[[Any], T]) -> None:
        self.function = function
        self.__doc__ = function.__doc__

    @overload
    def __get__(self, instance: None, owner: type) -> derived[T]: ...
    @overload
    def __get__(self, instance: object, owner: type) -> T: ...
    def __get__(self, instance: object | None, owner: type) -> derived[T] | T:
        return self if instance is None else self.function(instance)


def exactly_one_of(**parameters: Any) -> dict[str, Any]:
    """The one parameter that is not None."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        raise ValueError(f"exactly one of {', '.join(parameters)} must be given, but got {found}")
    return given


def check_count(name: str, value: Any) -> int:
    """`value` as an integer of at least 1."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, but got {value!r}")
    return number


def check_number(name: str, value: object, region: Region) -> float:
    """`value` as a Python number of `region`."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, but got {value!r}")
    check(name, value, region)
    return float(value)


def unify(
    parameters: Mapping[str, Any],
    constraints: Mapping[str, Constraint],
    *,
    numbers: Collection[str],
) -> tuple[dict[str, Any], torch.Size]:
    """Parameters of one dtype and device, and the batch shape to which they broadcast.

    Counts stay integers. Python numbers named in `numbers` stay numbers: arithmetic with them
    launches no extra kernel and makes no tensor on any device. All others become tensors, each of
    its own batch shape.
    """
    unified: dict[str, Any] = dict(parameters)
    given: dict[str, Any] = {}
    for name, value in parameters.items():
        if constraints[name] is count:
            unified[name] = check_count(name, value)
        elif name in numbers and isinstance(value, float | Real):  # Real alone takes longer
            unified[name] = float(value)
        else:
            given[name] = value
    tensors = _alike(given)
    unified.update(tensors)
    return unified, _batch_shape(tensors, constraints)


def expand(tensor: Tensor, batch_shape: torch.Size, event_dim: int) -> Tensor:
    """`tensor` expanded to `(*batch_shape, *own_event_shape)`."""
    own = tensor.shape
    shape = batch_shape + own[len(own) - event_dim :] if event_dim else batch_shape
    # A view of a leaf is no leaf: it could not be copied.
    return tensor if shape == own else tensor.expand(shape)


def _batch_shape(tensors: dict[str, Tensor], constraints: Mapping[str, Constraint]) -> torch.Size:
    batch_shapes, event_shapes = [], []
    for name, tensor in tensors.items():
        shape, event_dim = tensor.shape, constraints[name].event_dim
        split = len(shape) - event_dim
        if split < 0:
            raise ValueError(
                f"{name} must have at least {event_dim} dimension(s), but got shape {tuple(shape)}"
            )
        batch_shapes.append(shape[:split])
        event_shapes.append(shape[split:])
    if len(tensors) == 1 and len(event_shapes[0]) < 2:
        return batch_shapes[0]
    sizes = [size for shape in event_shapes for size in shape]
    if sizes and any(size != sizes[0] for size in sizes):  # no set: `torch.jit` traces sizes
        found = _listed((n, s) for n, s in zip(tensors, event_shapes, strict=True) if s)
        raise ValueError(f"events of parameters must have one size, but got {found}")
    if all(shape == batch_shapes[0] for shape in batch_shapes):
        return batch_shapes[0]
    try:
        broadcast: torch.Size = torch.broadcast_shapes(*batch_shapes)
    except RuntimeError:
        found = _listed(zip(tensors, batch_shapes, strict=True))
        raise ValueError(f"batch shapes of parameters must broadcast, but got {found}") from None
    return broadcast


def _listed(shapes: Iterable[tuple[str, torch.Size]]) -> str:
    return ", ".join(f"{name} {tuple(shape)}" for name, shape in shapes)


def _alike(given: dict[str, Any]) -> dict[str, Tensor]:
    """Numbers and tensors as tensors of one floating-point dtype on one device."""
    first = next(iter(given.values()))
    if len(given) == 1 and isinstance(first, Tensor) and first.dtype.is_floating_point:
        return given
    tensors = {n: _as_tensor(n, v) for n, v in given.items() if type(v) not in (int, float)}
    # A 0-dimensional tensor counts as a number, as in torch's own type promotion.
    leading = [t for t in tensors.values() if t.dim()] or list(tensors.values())
    dtype = reduce(torch.promote_types, {t.dtype for t in leading} or {torch.bool})
    if not dtype.is_floating_point:
        dtype = torch.get_default_dtype()
    device = leading[0].device if leading else torch.get_default_device()
    for name, tensor in tensors.items():
        if tensor.device != device and tensor.dim():
            raise ValueError(
                f"all parameters must be on one device, but got {name} on {tensor.device} "
                f"and another on {device}"
            )
        tensors[name] = tensor.to(device=device, dtype=dtype)
    for name in [name for name in given if name not in tensors]:
        # Made where it is needed: `as_tensor` would make it on the CPU and copy it.
        tensors[name] = torch.full((), given[name], dtype=dtype, device=device)
    return tensors


def _as_tensor(name: str, value: Any) -> Tensor:
    try:
        # `as_tensor` would move a tensor to the default device.
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a tensor, but got {value!r}") from error
    if tensor.is_complex():
        raise TypeError(f"{name} must be real, but got the dtype {tensor.dtype}")
    return tensor
