"""What every constructor does with its arguments: choose, broadcast, unify dtype, check, derive."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import reduce
from numbers import Real
from typing import Any, Generic, TypeVar, overload

import torch
from torch import Tensor
from torch.distributions.constraints import Constraint

from relaxit_torch.core.constraints import Region

Parameter = float | Tensor
_NUMBER = (float, Real)  # the latter alone takes longer
T = TypeVar("T")


class derived(Generic[T]):  # noqa: N801 (a decorator, like property)
    """A parameter that follows from the one that was given (`probs` from `logits`).

    Computed at each access, never stored: a stored tensor would carry the autograd graph of its
    first use into the second, where it has been freed. An argument that was given lies in the
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
    """Returns the one parameter that is not None; ValueError for none or several."""
    given = {name: value for name, value in parameters.items() if value is not None}
    if len(given) != 1:
        found = "none" if not given else " and ".join(given)
        raise ValueError(f"exactly one of {', '.join(parameters)} must be given, but got {found}")
    return given


def check_count(name: str, value: Any) -> int:
    """Returns a count as an integer; ValueError for what is none."""
    try:
        number = operator.index(value)
    except TypeError:
        number = 0
    if number < 1 or isinstance(value, bool):
        raise ValueError(f"{name} must be an integer of at least 1, but got {value!r}")
    return number


def unify(
    parameters: Mapping[str, Any],
    constraints: Mapping[str, Constraint],
    *,
    numbers: Collection[str],
) -> tuple[dict[str, Parameter], torch.Size]:
    """Brings parameters to one dtype, device and batch shape.

    Python numbers named in `numbers` stay numbers: arithmetic with them launches no extra kernel
    and makes no tensor on any device.

    Returns:
        The parameters, each of its own batch shape, and the `batch_shape` of them all.

    Raises:
        ValueError: parameters on different devices, with too few dimensions, or with batch shapes
            that do not broadcast.
    """
    plain: dict[str, Parameter] = {}
    given: dict[str, Any] = {}
    for name, value in parameters.items():
        if name in numbers and isinstance(value, _NUMBER):
            plain[name] = float(value)
        else:
            given[name] = value
    tensors = _alike(given)
    batch_shapes, event_shapes = [], []
    for name, tensor in tensors.items():
        shape, event_dim = tensor.shape, constraints[name].event_dim
        split = len(shape) - event_dim
        if split < 0:
            raise ValueError(
                f"{name} must have at least {event_dim} dimension(s), "
                f"but got shape {tuple(tensor.shape)}"
            )
        batch_shapes.append(shape[:split] if event_dim else shape)
        event_shapes.append(shape[split:] if event_dim else ())
    # A set of sizes and `broadcast_shapes` take as long as kernels.
    batch_shape = batch_shapes[0]
    if len(tensors) > 1 or len(event_shapes[0]) > 1:
        if len({size for shape in event_shapes for size in shape}) > 1:
            found = ", ".join(
                f"{name} {tuple(shape)}"
                for name, shape in zip(tensors, event_shapes, strict=True)
                if shape
            )
            raise ValueError(f"events of parameters must have one size, but got {found}")
        batch_shape = _broadcast(tensors, batch_shapes)
    return plain | tensors, batch_shape


def expand(tensor: Tensor, batch_shape: torch.Size, event_dim: int) -> Tensor:
    """Expands to `(*batch_shape, *own_event_shape)`."""
    own = tensor.shape
    shape = batch_shape + own[len(own) - event_dim :] if event_dim else batch_shape
    # A view of a leaf is no leaf: it could not be copied.
    return tensor if shape == own else tensor.expand(shape)


def check(name: str, value: Parameter, region: Region) -> None:
    """Raises ValueError with the first entry of `value` that lies outside `region`."""
    # A number is shown as it was given, not as float32 rounds it, and is checked where it is,
    # whatever the default device is.
    tensor = (
        value
        if isinstance(value, Tensor)
        else torch.tensor(value, dtype=torch.float64, device="cpu")
    )
    for words, valid in region.parts(tensor):
        if valid.all():
            continue
        index = tuple((~valid).nonzero()[0].tolist())
        entry: Any = tensor[index].tolist()
        if isinstance(entry, list) and len(entry) > 8:
            entry = f"[{', '.join(map(str, entry[:8]))}, ...]"
        place = f" at index {index}" if index else ""
        raise ValueError(f"{name} must be {words}, but got {entry}{place}")


def check_number(name: str, value: object, region: Region) -> float:
    """`value` as a Python number of `region`; raises TypeError where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError(f"{name} must be a number, but got {value!r}")
    check(name, value, region)
    return float(value)


def _alike(given: dict[str, Any]) -> dict[str, Tensor]:
    """Numbers and tensors as tensors of one floating-point dtype on one device."""
    first = next(iter(given.values()))
    if len(given) == 1 and isinstance(first, Tensor) and first.dtype.is_floating_point:
        return given  # as it mostly is, and without the time of a kernel
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


def _broadcast(names: Iterable[str], shapes: list[torch.Size]) -> torch.Size:
    if all(shape == shapes[0] for shape in shapes):
        return shapes[0]
    try:
        broadcast: torch.Size = torch.broadcast_shapes(*shapes)
    except RuntimeError:
        found = ", ".join(f"{n} {tuple(s)}" for n, s in zip(names, shapes, strict=True))
        raise ValueError(f"batch shapes of parameters must broadcast, but got {found}") from None
    return broadcast


def _as_tensor(name: str, value: Any) -> Tensor:
    try:
        # `as_tensor` would move a tensor to the default device.
        tensor = value if isinstance(value, Tensor) else torch.as_tensor(value)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(f"{name} must be a number or a tensor, but got {value!r}") from error

    if tensor.is_complex():
        raise TypeError(f"{name} must be real, but got the dtype {tensor.dtype}")
    return tensor
