"""The table of all distributions: what each relaxes, and how they differ."""

from __future__ import annotations

from collections.abc import Iterable

from relaxit_reference import Spec
from relaxit_reference.domains import Domain, Independent, Interval

from .markdown_parts import table, words

DENSITY = {"continuous": "exact", "mass": "probabilities", "mixed": "exact, with atoms"}
GRADIENT = {"pathwise": "pathwise", "straight_through": "straight-through", "none": "none"}
BIAS = {
    "vanishes": "bias vanishes as ${symbol} \\to {limit}$",
    "remains": "bias remains as ${symbol} \\to {limit}$",
    "vanishes_in_the_first_row": "bias vanishes as ${symbol} \\to {limit}$ in the first row",
    "remains_in_every_row": "bias remains as ${symbol} \\to {limit}$",
    "remains_unless_linear": "biased, except for linear functions",
    "halves_the_linear": "biased, half the true gradient for linear functions",
    "unbiased": "unbiased, for its own expectation",
}
LIMITS = {"zero": "0", "infinity": "\\infty"}
POINTS = {
    "Arrangement": "one-hot rows",
    "LogSimplex": "logarithms",
    "OneHot": "one-hot",
    "Real": "real",
    "Simplex": "simplex",
}
VARIABLES = ("bit", "bits", "one of $K$", "$k$ of $K$", "count", "none")
"""What is relaxed, in the order of the table."""


def overview(specs: Iterable[Spec]) -> str:
    """The table, with a line for each distribution and variant, sorted by what they relax."""
    variants = [each for spec in specs if spec.kind != "map" for each in spec.with_variants()]
    head = (
        "Distribution",
        "Variable",
        "Values",
        "Density",
        "KL",
        "Gradient",
        "Cost",
        "When to use",
    )
    return table(head, map(row, sorted(variants, key=lambda each: VARIABLES.index(variable(each)))))


def row(spec: Spec) -> tuple[str, ...]:
    """The line of one distribution or variant."""
    switches = [f"`{s}`" for s in spec.switches if s.partition("=")[0] not in spec.counts]
    of_mean = spec.kind == "relaxation" and variable(spec) == "bit" and spec.harden is None
    divergence = "no"
    if "kl" in spec.closed_forms:
        divergence = f"equal {words(list(spec.kl_needs_equal))}" if spec.kl_needs_equal else "yes"
    return (
        "<br>".join([f"[{spec.title}](../maths/{spec.name}.md)", *switches]),
        variable(spec) + (", in mean" if of_mean else ""),
        values(spec),
        DENSITY[spec.density.kind],
        divergence,
        gradient(spec),
        cost(spec),
        spec.use,
    )


def variable(spec: Spec) -> str:
    """The discrete variable that the distribution relaxes or is."""
    if spec.event_dim == 2:
        return "$k$ of $K$"
    if isinstance(spec.relax.support, Independent):
        return "bits"
    if spec.event_dim == 0:
        return "bit"
    if spec.harden is None:
        return "none"
    # Of a count no parameter has an entry for each category.
    return "one of $K$" if any(p.shape for p in spec.parameters.values()) else "count"


def values(spec: Spec) -> str:
    """Where values lie: a finite set if only finitely many points of an interval occur."""
    counted = "counting measure on "
    if isinstance(spec.relax.support, Interval) and spec.density.base.startswith(counted):
        return spec.density.base.removeprefix(counted)
    return points(spec.relax.support)


def points(support: Domain) -> str:
    """The support in a word or two."""
    if isinstance(support, Independent):
        return f"{points(support.of)} in every {'row' if support.of.event_dim else 'entry'}"
    if isinstance(support, Interval):
        left, right = ("(["[closed] + ")]"[closed] for closed in support.closed)
        return f"{left[0]}{support.low:g}, {support.high:g}{right[1]}"
    return POINTS.get(type(support).__name__, support.describe())


def gradient(spec: Spec) -> str:
    """What the backward pass computes, and how its mean differs from the true gradient.

    Raises:
        ValueError: samples have a gradient, and the specification does not state its bias.
    """
    if spec.relax.gradient == "none":
        return "none"
    claim = next((p for p in spec.properties if p.kind == "gradient_bias"), None)
    if claim is None:
        raise ValueError(
            f"{spec.name}.toml: properties: {spec} has a gradient and no 'gradient_bias'"
        )
    bias = BIAS[claim.expected or ""]
    if "{symbol}" in bias:
        symbol = spec.parameters[claim.parameter or "temperature"].symbol
        bias = bias.format(symbol=symbol, limit=LIMITS[claim.to or "zero"])
    return f"{GRADIENT[spec.relax.gradient]}: {bias}"


def cost(spec: Spec) -> str:
    """The order of the work for one event, from the shapes of its parameters and its noise."""
    given = [spec.parameters[name].shape for name in spec.parameterisations()[0]]
    if matrix := next((shape for shape in given if len(shape) == 2), None):
        return f"${matrix[0]}^2$, and ${matrix[0]}^3$ once"
    size = max((spec.noise.shape, *given, shape_of_value(spec)), key=len)
    return f"${' '.join(f'({n})' if '+' in n else n for n in size) or '1'}$"


def shape_of_value(spec: Spec) -> tuple[str, ...]:
    """The shape of a value. A count gives the number of its rows."""
    sizes = next((p.shape for p in spec.parameters.values() if len(p.shape) == 1), ())
    return (*(spec.parameters[n].symbol for n in spec.counts), *sizes) if spec.counts else sizes
