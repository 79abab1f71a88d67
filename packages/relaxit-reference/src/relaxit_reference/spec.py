"""Reads `specs/*.toml` into frozen dataclasses; `specs/README.md` describes the format.

The set of keys is closed. An unknown key, a missing key, and a parameter that the class does not
have each raise a `SpecError` that names the file and the key.
"""

from __future__ import annotations

import dataclasses
import importlib
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache, cached_property
from pathlib import Path
from types import ModuleType
from typing import Any, Literal, get_type_hints

from relaxit_reference.domains import Domain, Integer
from relaxit_reference.typed_tables import SpecError as SpecError
from relaxit_reference.typed_tables import parse

SPECS = Path(__file__).parent / "specs"


@dataclass(frozen=True)
class Classes:
    """The names of the class in each package."""

    reference: str
    torch: str


@dataclass(frozen=True)
class Reference:
    """A publication, and the place in it."""

    authors: str
    year: int
    title: str
    url: str
    where: str = ""


@dataclass(frozen=True)
class Parameter:
    """An argument of the constructor."""

    symbol: str
    meaning: str
    domain: Domain
    shape: tuple[str, ...]
    typical: tuple[float, float] | None = None
    moderate: tuple[float, float] | None = None
    default: float | None = None


@dataclass(frozen=True)
class Noise:
    """The distribution of one entry of the base noise, and the shape of the noise of one event."""

    distribution: Literal["uniform", "gumbel", "logistic", "normal"]
    symbol: str
    shape: tuple[str, ...]


@dataclass(frozen=True)
class Relax:
    """The map from noise to value, its support, and its backward pass."""

    latex: str
    support: Domain
    gradient: Literal["pathwise", "straight_through", "none"]


@dataclass(frozen=True)
class Harden:
    """The map to a discrete value, and what that value has in common with the discrete variable."""

    latex: str
    matches: Literal["distribution", "mean"]


@dataclass(frozen=True)
class Density:
    """The density that `log_prob` returns; `atoms` are its point masses."""

    kind: Literal["continuous", "mass", "mixed"]
    base: str
    atoms: tuple[float, ...]
    latex: str


@dataclass(frozen=True)
class Property:
    """A stated property of the distribution; `kind` names the check in `testing/properties.py`."""

    kind: Literal["limit", "symmetry", "invariance", "gradient_bias"]
    parameter: str | None = None
    to: Literal["zero", "infinity"] | None = None
    expected: str | None = None
    map: str | None = None

    def __str__(self) -> str:
        details = (self.map, self.parameter, self.to and f"to {self.to}", self.expected)
        return " ".join([self.kind.replace("_", " "), *(word for word in details if word)])


@dataclass(frozen=True)
class Variant:
    """Constructor arguments or optional parameters, and the tables that change with them."""

    arguments: Mapping[str, bool] = field(default_factory=dict)
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    use: str | None = None
    closed_forms: tuple[str, ...] | None = None
    kl_needs_equal: tuple[str, ...] | None = None
    noise: Mapping[str, Any] = field(default_factory=dict)
    relax: Mapping[str, Any] = field(default_factory=dict)
    harden: Mapping[str, Any] = field(default_factory=dict)
    density: Mapping[str, Any] = field(default_factory=dict)
    properties: tuple[Property, ...] | None = None
    cases: tuple[Case, ...] = ()


@dataclass(frozen=True)
class Case:
    """A log density, exact to all printed digits (`tests/test_cases.py`)."""

    why: str
    parameters: Mapping[str, Any]
    value: Any
    log_prob: float


@dataclass(frozen=True)
class Direction:
    """One direction of a map between distributions, and the function that computes it."""

    function: str
    meaning: str
    latex: str


_NOT_OF_A_MAP = typing.cast("Any", None)
"""The default of tables that only a map between distributions may leave out."""

PROPERTIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "limit": {"to": ("zero", "infinity"), "expected": ("discrete", "uniform")},
    "symmetry": {"map": ("complement", "reflection", "negation", "permutation")},
    "invariance": {"map": ("shift",)},
    "gradient_bias": {
        "expected": (
            "vanishes",
            "remains",
            "vanishes_in_the_first_row",
            "remains_in_every_row",
            "remains_unless_linear",
            "halves_the_linear",
            "unbiased",
        )
    },
}
"""For each kind of property: the keys that it needs, and the values that its check knows."""

CLOSED_FORMS = ("cdf", "icdf", "mean", "variance", "mode", "entropy", "kl")


@dataclass(frozen=True, repr=False)
class Spec:
    """One distribution, in one variant of its constructor."""

    name: str
    title: str
    summary: str
    use: str
    kind: Literal["relaxation", "discrete", "map"]
    event_dim: int
    classes: Classes
    references: tuple[Reference, ...]
    parameters: Mapping[str, Parameter]
    closed_forms: tuple[str, ...]
    noise: Noise = _NOT_OF_A_MAP
    relax: Relax = _NOT_OF_A_MAP
    density: Density = _NOT_OF_A_MAP
    directions: tuple[Direction, ...] = ()
    exclusive: tuple[tuple[str, ...], ...] = ()
    arguments: Mapping[str, bool | int] = field(default_factory=dict)
    sizes: tuple[int, ...] = (3, 2, 5)
    kl_needs_equal: tuple[str, ...] = ()
    harden: Harden | None = None
    properties: tuple[Property, ...] = ()
    variants: tuple[Variant, ...] = ()
    cases: tuple[Case, ...] = ()
    optional: tuple[str, ...] = field(default=(), metadata={"derived": True})
    """The parameters that only this variant has."""

    def __str__(self) -> str:
        switches = ", ".join(self.switches)
        return f"{self.classes.torch}({switches})" if switches else self.classes.torch

    def __repr__(self) -> str:
        return f"<specification of {self}>"

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:
        """Hypothesis prints the arguments of failing tests with this, here without all fields."""
        printer.text(repr(self))

    @property
    def moderate(self) -> dict[str, tuple[float, float]]:
        """The moderate ranges of the parameters."""
        return {name: p.moderate for name, p in self.parameters.items() if p.moderate}

    @cached_property
    def counts(self) -> dict[str, Parameter]:
        """The parameters that are whole numbers, such as how many categories are drawn."""
        return {n: p for n, p in self.parameters.items() if isinstance(p.domain, Integer)}

    @property
    def switches(self) -> list[str]:
        """The arguments of this variant with their values, and its optional parameters."""
        return [*(f"{name}={value}" for name, value in self.arguments.items()), *self.optional]

    @property
    def discrete(self) -> bool:
        """Whether the values are finitely many points, which may depend on the parameters."""
        return self.density.kind == "mass"

    def with_variants(self) -> list[Spec]:
        """This specification, then each variant as a specification of its own."""
        return [self, *self._overridden]

    @cached_property
    def _overridden(self) -> list[Spec]:
        return [self._override(variant) for variant in self.variants]

    def _override(self, variant: Variant) -> Spec:
        changes: dict[str, Any] = {}
        for name in ("noise", "relax", "harden", "density"):
            table = getattr(variant, name)
            if table:
                section = getattr(self, name)
                where = f"{self.name}.toml: variants: {name}."
                hints = get_type_hints(type(section))
                for key in table:
                    if key not in hints:
                        raise SpecError(f"{where}{key}: unknown key")
                parsed = {k: parse(hints[k], v, f"{where}{k}: ") for k, v in table.items()}
                changes[name] = dataclasses.replace(section, **parsed)
        for name in ("use", "closed_forms", "kl_needs_equal", "properties"):
            if getattr(variant, name) is not None:
                changes[name] = getattr(variant, name)
        return dataclasses.replace(
            self,
            **changes,
            arguments={**self.arguments, **variant.arguments},
            parameters={**self.parameters, **variant.parameters},
            optional=tuple(variant.parameters),
            cases=variant.cases,
            variants=(),
        )

    @cached_property
    def reference_class(self) -> type[Any]:
        """The class in `relaxit_reference`."""
        module = importlib.import_module("relaxit_reference")
        return typing.cast("type[Any]", getattr(module, self.classes.reference))

    def parameterisations(self) -> list[tuple[str, ...]]:
        """The sets of parameters that determine the distribution: one of each exclusive group.

        Counts are left out: `arguments` has their numbers.
        """
        sets: list[tuple[str, ...]] = [()]
        grouped = {name: group for group in self.exclusive for name in group}
        for name in [name for name in self.parameters if name not in self.counts]:
            group = grouped.get(name, (name,))
            if name == group[0]:
                sets = [(*chosen, member) for chosen in sets for member in group]
        return sets


@cache
def load_spec(name: str, **counts: int) -> Spec:
    """The specification `name` (`"gumbel_softmax"`).

    Args:
        name: the stem of its file.
        counts: numbers for the counts, such as `k=3`. Default: the numbers in the file.

    Raises:
        SpecError: there is no such file, or it breaks the format.

    Example:
        >>> from relaxit_reference import load_spec
        >>> load_spec("gumbel_softmax").relax.support.describe()
        'non-negative with a sum of 1'
    """
    path = SPECS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SPECS.glob("*.toml")))
        raise SpecError(f"{path.name}: no such specification; there are: {known}")
    return read_spec(path, **counts)


def load_specs() -> tuple[Spec, ...]:
    """All specifications, in the order of their names.

    Raises:
        SpecError: there is no specification, or one breaks the format.
    """
    specs = tuple(load_spec(path.stem) for path in sorted(SPECS.glob("*.toml")))
    if not specs:
        raise SpecError(f"no specification in {SPECS}")
    return specs


def read_spec(path: Path, **counts: int) -> Spec:
    """The specification in a file, checked; `counts` replace numbers among its `arguments`."""
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{path.name}: not TOML: {error}") from None
    if counts:
        table["arguments"] = {**table["arguments"], **counts}
    _insert_counts(table, f"{path.name}: ")
    spec: Spec = parse(Spec, table, f"{path.name}: ")
    _check(spec, path)
    return spec


def _insert_counts(table: Mapping[str, Any], where: str) -> None:
    """Replaces the name of a count in the `least` of a domain with its number."""
    for name, parameter in table.get("parameters", {}).items():
        domain = parameter.get("domain") if isinstance(parameter, dict) else None
        if isinstance(domain, dict) and isinstance(least := domain.get("least"), str):
            if least not in table.get("arguments", {}):
                raise SpecError(
                    f"{where}parameters: {name}: domain: least: "
                    f"arguments has no number for {least!r}"
                )
            domain["least"] = table["arguments"][least]


def _check(spec: Spec, path: Path) -> None:
    """Checks what the types of the keys do not say."""

    def require(condition: bool, message: str) -> None:
        if not condition:
            raise SpecError(f"{path.name}: {message}")

    require(spec.name == path.stem, f"name: must be {path.stem!r}, but got {spec.name!r}")
    for group in spec.exclusive:
        for name in group:
            require(name in spec.parameters, f"exclusive: no parameter is called {name!r}")
    module = importlib.import_module("relaxit_reference")
    found = getattr(module, spec.classes.reference, None)
    if spec.kind == "map":
        require(
            isinstance(found, ModuleType),
            f"classes.reference: relaxit_reference has no module {spec.classes.reference!r}",
        )
        require(bool(spec.directions), "missing key 'directions'")
        for direction in spec.directions:
            require(
                callable(getattr(found, direction.function, None)),
                f"directions: {spec.classes.reference} has no function {direction.function!r}",
            )
        return
    for table in ("noise", "relax", "density"):
        require(getattr(spec, table) is not None, f"missing key {table!r}")
    require(
        isinstance(found, type) and dataclasses.is_dataclass(found),
        f"classes.reference: relaxit_reference has no class {spec.classes.reference!r}",
    )
    known = {f.name for f in dataclasses.fields(typing.cast("Any", found))}
    for name in {name for each in spec.with_variants() for name in each.parameters}:
        require(
            name in known, f"parameters.{name}: {spec.classes.reference} has no parameter {name!r}"
        )
    given = [("arguments", spec.arguments), *(("variants", v.arguments) for v in spec.variants)]
    for where, arguments in given:
        for name in arguments:
            require(name in known, f"{where}: {spec.classes.reference} has no argument {name!r}")
    for name in spec.counts:
        require(name in spec.arguments, f"arguments: there must be a number for {name!r}")
    for each in spec.with_variants():
        for claim in each.properties:
            for key, values in PROPERTIES[claim.kind].items():
                found_value = getattr(claim, key)
                require(
                    found_value in values,
                    f"properties: {claim.kind}: {key} must be one of {', '.join(values)}, "
                    f"but got {found_value!r}",
                )
            if claim.kind != "gradient_bias":
                require(
                    claim.parameter is not None,
                    f"properties: {claim.kind}: missing key 'parameter'",
                )
        for form in each.closed_forms:
            require(form in CLOSED_FORMS, f"closed_forms: unknown closed form {form!r}")
        mentioned = {
            "kl_needs_equal": list(each.kl_needs_equal),
            "properties: parameter": [
                claim.parameter for claim in each.properties if claim.parameter is not None
            ],
            "cases: parameters": [name for case in each.cases for name in case.parameters],
        }
        for where, names in mentioned.items():
            for name in names:
                accepted = name in each.parameters or (name in known and where.startswith("cases"))
                require(accepted, f"{where}: no parameter is called {name!r}")
