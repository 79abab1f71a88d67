"""The page of a specification: its mathematics, and its pictures."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from relaxit_reference import Spec
from relaxit_reference.spec import Case, Parameter, Property
from website.pictures.densities import samples_picture
from website.pictures.gradients import gradient_picture

from .markdown_parts import listing, table, words

NOISE = {
    "uniform": r"\operatorname{Uniform}(0, 1)",
    "gumbel": r"\operatorname{Gumbel}(0, 1)",
    "logistic": r"\operatorname{Logistic}(0, 1)",
    "normal": r"\operatorname{Normal}(0, 1)",
}
HARDENING = {
    "distribution": (
        "The hardened value has exactly the discrete distribution, at every temperature."
    ),
    "mean": (
        "The hardened value has the mean of the discrete distribution, but another distribution."
    ),
}
GRADIENT = {
    "pathwise": "The gradient is the gradient of this map, with the noise held fixed.",
    "straight_through": (
        "The gradient is straight-through: it is the gradient of a relaxed map, not of the value."
    ),
    "none": "The value is discrete, and has no gradient.",
}
DISCRETE = (
    "A discrete distribution, to draw from and to score. It relaxes nothing; other distributions "
    "relax it."
)
DENSITY = {
    "continuous": "A log density with respect to {base}.",
    "mass": "A log probability: a density with respect to {base}.",
    "mixed": "A log density with atoms, with respect to {base}.",
}
CLOSED_FORMS = {
    "cdf": "cumulative distribution function (`cdf`)",
    "icdf": "quantile function (`icdf`)",
    "mean": "mean (`mean`)",
    "variance": "variance (`variance`)",
    "mode": "mode (`mode`)",
    "entropy": "entropy (`entropy()`)",
    "kl": "Kullback-Leibler divergence (`torch.distributions.kl_divergence`)",
}
LIMITS = {
    "discrete": "the distribution of the value approaches the discrete distribution",
    "uniform": "the value approaches a constant that gives every state the same weight",
}
SYMMETRIES = {
    "complement": "Negating `{parameter}` turns the value $c$ into $1 - c$, in distribution.",
    "reflection": (
        "Reflecting both `{parameter}` and the value $c$ at $1/2$ changes nothing, in distribution."
    ),
    "negation": "Negating `{parameter}` negates the value, in distribution.",
    "permutation": (
        "Permuting the entries of `{parameter}` permutes the entries of the value, in distribution."
    ),
    "shift": "Adding the same number to all entries of `{parameter}` changes nothing.",
}
AGAINST = "Compared with the gradient of the discrete objective, the mean gradient "
BIAS = {
    "vanishes": AGAINST + "has a bias that vanishes as {limit}.",
    "remains": AGAINST + "has a bias that does not vanish as {limit}.",
    "vanishes_in_the_first_row": (
        AGAINST + "has a bias that vanishes as {limit}, for functions of the first row. For "
        "functions of later rows the bias remains: they jump where the largest entry of an "
        "earlier row changes, and jumps are not differentiated."
    ),
    "remains_in_every_row": (
        AGAINST + "has a bias that does not vanish as {limit}. For later rows, even linear "
        "functions have a bias: later rows jump where an earlier row jumps."
    ),
    "remains_unless_linear": (
        AGAINST + "has no bias for linear functions, and a bias for all others. No "
        "temperature removes this bias."
    ),
    "halves_the_linear": (
        AGAINST + "is biased for every function. For a linear function it is half the true "
        "gradient. No temperature removes this bias."
    ),
    "unbiased": (
        "The gradient is an unbiased estimate of the gradient of the expectation under this "
        "distribution. Nothing discrete is relaxed."
    ),
}
READ = {
    "LogSimplex": "Functions of the value are meant as functions of $e^y$, a point of the simplex.",
    "Real": r"Functions of the value are meant as functions of $\sigma(y)$, in (0, 1).",
}


def page(spec: Spec, pictures: Path) -> str:
    """The page of one specification, with a section for each variant. Writes its pictures."""
    parts = [
        f"# {spec.title}",
        spec.summary,
        DISCRETE if spec.kind == "discrete" else "",
        f"When to take it: {spec.use}.",
        classes(spec),
        samples_picture(spec).written(pictures),
        "## Parameters",
        *parameters(spec),
        *(directions(spec) if spec.kind == "map" else mathematics(spec, None, "##")),
        *gradient(spec, pictures),
        *cases(spec, "##"),
    ]
    for variant in spec.with_variants()[1:]:
        switches = [word for word in variant.switches if word.partition("=")[0] not in spec.counts]
        parts += [f"## With `{', '.join(switches)}`", samples_picture(variant).written(pictures)]
        if variant.optional:
            rows = [parameter_row(n, variant.parameters[n], variant) for n in variant.optional]
            parts.append(table(PARAMETER_HEAD, rows))
        parts.append("What differs:")
        parts += [*mathematics(variant, spec, "###"), *cases(variant, "###")]
    parts += ["## References", *references(spec)]
    return "\n\n".join(part for part in parts if part) + "\n"


def classes(spec: Spec) -> str:
    """Both implementations, each a link to its documentation."""
    names = {"relaxit_torch": spec.classes.torch, "relaxit_reference": spec.classes.reference}
    module = "" if spec.kind == "map" else f"distributions.{spec.name}."
    return " · ".join(
        f"[`{package}.{name}`][{package}.{module}{name}]" for package, name in names.items()
    )


PARAMETER_HEAD = ("Name", "Symbol", "Meaning", "Must be", "Typical", "Shape", "Default")


def parameters(spec: Spec) -> Iterator[str]:
    """The table of the constructor's arguments."""
    yield table(
        PARAMETER_HEAD,
        (parameter_row(name, parameter, spec) for name, parameter in spec.parameters.items()),
    )
    for group in spec.exclusive:
        yield f"Exactly one of {words([f'`{name}`' for name in group])} is given."
    broadcast = "" if spec.kind == "map" else "; all parameters broadcast over the batch shape"
    yield f"Shapes are those of one event{broadcast}."


def parameter_row(name: str, parameter: Parameter, spec: Spec) -> tuple[str, ...]:
    """A line of that table, in which counts stand for the numbers that tests give to them."""
    must_be = parameter.domain.describe()
    for count in spec.counts if getattr(parameter.domain, "least", 1) > 1 else ():
        symbol = spec.parameters[count].symbol
        must_be = must_be.replace(f"least {spec.arguments[count]} ", f"least ${symbol}$ ")
    typical = parameter.typical and "{:g} to {:g}".format(*parameter.typical)
    default = "" if parameter.default is None else f"{parameter.default:g}"
    return (
        f"`{name}`",
        f"${parameter.symbol}$",
        parameter.meaning,
        must_be,
        typical or "",
        shape(parameter.shape),
        default,
    )


def directions(spec: Spec) -> Iterator[str]:
    """A section for each direction of a map between distributions."""
    for direction in spec.directions:
        yield f"## `{direction.function}`"
        yield direction.meaning
        yield display(direction.latex)


def mathematics(spec: Spec, base: Spec | None, level: str) -> Iterator[str]:
    """Sections on map, density, hardening and properties; those only that differ from `base`."""
    if base is None or spec.noise != base.noise or spec.relax != base.relax:
        distribution, symbol = NOISE[spec.noise.distribution], spec.noise.symbol
        yield f"{level} Map"
        yield (
            f"Noise ${symbol} \\sim {distribution}$ of shape {shape(spec.noise.shape)}, "
            "independent in every entry:"
        )
        yield display(spec.relax.latex)
        yield f"Support: {spec.relax.support.describe()}. {GRADIENT[spec.relax.gradient]}"
    if base is None or spec.density != base.density:
        yield f"{level} Density"
        yield DENSITY[spec.density.kind].format(base=spec.density.base)
        if spec.density.atoms:
            yield f"Atoms at {words([f'{atom:g}' for atom in spec.density.atoms])}."
        yield display(spec.density.latex)
    if spec.harden and (base is None or spec.harden != base.harden):
        yield f"{level} Hardening"
        yield display(spec.harden.latex)
        yield HARDENING[spec.harden.matches]
    if base is None or spec.closed_forms != base.closed_forms:
        yield f"{level} Closed forms"
        yield listing(closed_form(form, spec) for form in spec.closed_forms) or "None."
    if spec.properties and (base is None or spec.properties != base.properties):
        yield f"{level} Properties"
        yield listing(property_in_words(claim, spec) for claim in spec.properties)


def cases(spec: Spec, level: str) -> Iterator[str]:
    """The numbers that are pinned, if there are any."""
    if spec.cases:
        yield f"{level} Cases"
        yield "Log densities computed with 50 digits, against which both packages are tested."
        yield table(("Why", "Parameters", "Value", "Log density"), map(case_row, spec.cases))


def gradient(spec: Spec, pictures: Path) -> Iterator[str]:
    """The signal and the noise of its gradient."""
    if signal := gradient_picture(spec):
        yield "## Gradient"
        yield signal.written(pictures)


def closed_form(form: str, spec: Spec) -> str:
    """A name, with the condition for it."""
    if form == "kl" and spec.kl_needs_equal:
        equal = words([f"`{name}`" for name in spec.kl_needs_equal])
        return f"{CLOSED_FORMS[form]}, for equal {equal}"
    return CLOSED_FORMS[form]


def property_in_words(claim: Property, spec: Spec) -> str:
    """A sentence, or the bare keys of a property that has none here."""
    if claim.kind == "limit" and claim.expected in LIMITS:
        return f"As {limit(claim, spec)}, {LIMITS[claim.expected]}."
    if claim.map in SYMMETRIES:
        return SYMMETRIES[claim.map].format(parameter=claim.parameter)
    if claim.kind == "gradient_bias" and claim.expected in BIAS:
        bias = BIAS[claim.expected]
        bias = bias.format(limit=limit(claim, spec)) if "{limit}" in bias else bias
        return " ".join(filter(None, [bias, READ.get(type(spec.relax.support).__name__)]))
    return f"{str(claim).capitalize()}."


def limit(claim: Property, spec: Spec) -> str:
    """Where its parameter goes; by default the temperature to zero."""
    symbol = spec.parameters[claim.parameter or "temperature"].symbol
    return "$" + symbol + r" \to " + {"infinity": r"\infty"}.get(claim.to or "zero", "0") + "$"


def case_row(case: Case) -> tuple[str, ...]:
    """A line of the table of cases."""
    given = "<br>".join(f"`{name} = {plain(value)}`" for name, value in case.parameters.items())
    return (case.why, given, f"`{plain(case.value)}`", f"`{case.log_prob!r}`")


def references(spec: Spec) -> Iterator[str]:
    """The publications, as a list."""
    yield listing(
        f"{source.authors} ({source.year}). [{source.title}]({source.url})"
        + (f", {source.where}." if source.where else ".")
        for source in spec.references
    )


def display(latex: str) -> str:
    """A displayed formula, in as many lines as it has parts.

    Raises:
        ValueError: a part is empty.
    """
    parts = latex.split(r", \qquad ")
    if not all(part.strip() for part in parts):
        raise ValueError(f"a formula of a specification has an empty part: {latex!r}")
    return "\n\nwith\n\n".join(f"$$\n{part}\n$$" for part in parts)


def shape(names: tuple[str, ...]) -> str:
    """A shape as Python writes it."""
    return f"`({', '.join(names)}{',' if len(names) == 1 else ''})`"


def plain(value: Any) -> str:
    """A number or nested list as Python writes it; a table by its keys."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {plain(entry)}" for name, entry in value.items())
    return repr(value)
