"""Reads TOML tables into dataclasses, by the annotations of their fields."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from relaxit_reference import domains
from relaxit_reference.domains import Domain


class SpecError(ValueError):
    """A specification breaks the format; the message names the file and the key."""


def parse(kind: Any, value: Any, where: str) -> Any:
    """`value` as an object of type `kind`.

    Tables become dataclasses or domains, arrays become tuples.

    Raises:
        SpecError: `value` does not fit; the message begins with `where`.
    """
    origin, arguments = get_origin(kind), get_args(kind)
    if kind is Any:
        return value
    if kind is Domain:
        try:
            return domains.from_table(value)
        except (ValueError, TypeError) as error:
            raise SpecError(f"{where}{error}") from None
    if dataclasses.is_dataclass(kind):
        return _parse_table(kind, value, where)
    if origin in (Union, UnionType):
        kinds = [a for a in arguments if a is not type(None)]
        return parse(next((a for a in kinds if type(value) is a), kinds[0]), value, where)
    if origin is Literal:
        if value not in arguments:
            raise SpecError(f"{where}must be one of {', '.join(arguments)}, but got {value!r}")
        return value
    if origin is tuple and isinstance(value, list):
        items = arguments[:1] * len(value) if arguments[-1] is Ellipsis else arguments
        if len(items) != len(value):
            raise SpecError(f"{where}must have {len(items)} entries, but got {value!r}")
        return tuple(
            parse(item, v, f"{where}[{i}] ")
            for i, (item, v) in enumerate(zip(items, value, strict=True))
        )
    if origin is Mapping and isinstance(value, dict):
        return {k: parse(arguments[1], v, f"{where}{k}: ") for k, v in value.items()}
    accepted = (int, float) if kind is float else kind
    if origin is None and isinstance(value, accepted) and isinstance(value, bool) == (kind is bool):
        return value
    raise SpecError(f"{where}must be of type {getattr(kind, '__name__', kind)}, but got {value!r}")


def _parse_table(kind: Any, table: Any, where: str) -> Any:
    if not isinstance(table, dict):
        raise SpecError(f"{where}must be a table, but got {table!r}")
    fields = {f.name: f for f in dataclasses.fields(kind) if not f.metadata.get("derived")}
    for key in table:
        if key not in fields:
            raise SpecError(f"{where}unknown key {key!r}; the keys are {', '.join(fields)}")
    hints = get_type_hints(kind)
    missing = [
        f.name
        for f in fields.values()
        if f.name not in table
        and f.default is dataclasses.MISSING
        and f.default_factory is dataclasses.MISSING
    ]
    if missing:
        raise SpecError(f"{where}missing key {missing[0]!r}")
    return kind(**{key: parse(hints[key], v, f"{where}{key}: ") for key, v in table.items()})
