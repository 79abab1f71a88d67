"""Writes a page for every specification and every result, before `mkdocs` builds the site."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import measured
from markdown_parts import listing, table, words
from pictures import Picture, gradient_picture, law_picture

from relaxit_reference import Spec, load_specs
from relaxit_reference.domains import Domain, Independent, Interval
from relaxit_reference.spec import Case, Law, Parameter

DOCS = Path(__file__).parent
MATHS, MEASURED = DOCS / "maths", DOCS / "measured"
PICTURES = MATHS / "pictures"

NOISE = {
    "uniform": r"\operatorname{Uniform}(0, 1)",
    "gumbel": r"\operatorname{Gumbel}(0, 1)",
    "logistic": r"\operatorname{Logistic}(0, 1)",
    "normal": r"\operatorname{Normal}(0, 1)",
}
HARDENING = {
    "exact": "The hardened value has exactly the discrete law, at every temperature.",
    "mean": "The hardened value has the mean of the discrete law, not the law itself.",
}
GRADIENT = {
    "pathwise": "The gradient is that of this map, with the noise held fixed.",
    "straight_through": (
        "The gradient is straight-through: that of a relaxed map, which is not that of the value."
    ),
    "none": "The value is discrete, and has no gradient.",
}
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
    "discrete": "the law of the value approaches the discrete law",
    "uniform": "the value approaches a constant that gives every state the same weight",
}
SYMMETRIES = {
    "complement": "Negating `{parameter}` turns the value $c$ into $1 - c$, in law.",
    "reflection": "Reflecting `{parameter}` and the value $c$ at $1/2$ changes nothing, in law.",
    "negation": "Negating `{parameter}` negates the value, in law.",
    "permutation": "Permuting the entries of `{parameter}` permutes those of the value, in law.",
    "shift": "Adding the same number to all entries of `{parameter}` changes nothing.",
}
BIAS = {
    "vanishes": (
        "The bias of the gradient, measured against the discrete objective, vanishes with the "
        "temperature."
    ),
    "remains": (
        "The bias of the gradient, measured against the discrete objective, does not vanish with "
        "the temperature."
    ),
    "vanishes_in_the_first_row": (
        "The bias of the gradient, measured against the discrete objective, vanishes with the "
        "temperature for functions of the first row. That of functions of later rows remains: they "
        "jump where the greatest entry of an earlier row changes, and jumps are not differentiated."
    ),
    "remains_in_every_row": (
        "The bias of the gradient, measured against the discrete objective, does not vanish with "
        "the temperature; of later rows, not even that of linear functions: they jump where an "
        "earlier row does."
    ),
}

SHORT_HARDENING = {"exact": "discrete law, exactly", "mean": "its mean"}
SHORT_DENSITY = {"continuous": "exact", "mass": "probabilities", "mixed": "exact, with atoms"}
SHORT_GRADIENT = {"pathwise": "pathwise", "straight_through": "straight-through", "none": "none"}
SHORT_BIAS = {
    "vanishes": ", bias vanishes",
    "remains": ", bias remains",
    "vanishes_in_the_first_row": ", bias vanishes in the first row",
    "remains_in_every_row": ", bias remains",
    None: "",
}
SHORT_POINTS = {
    "Arrangement": "one-hot rows",
    "LogSimplex": "log simplex",
    "OneHot": "one-hot",
    "Real": "real",
    "Simplex": "simplex",
}


def main() -> None:
    """Writes everything anew."""
    for folder in (MATHS, MEASURED):
        shutil.rmtree(folder, ignore_errors=True)
        (folder / "pictures").mkdir(parents=True)
    specs = load_specs()
    write(MATHS, {f"{spec.name}.md": page(spec) for spec in specs})
    (MATHS / "overview.txt").write_text(overview(specs), encoding="utf-8")
    write(MEASURED, measured.pages(MEASURED / "pictures"))


def write(folder: Path, pages: Mapping[str, str]) -> None:
    """Writes pages by their names."""
    for name, text in pages.items():
        (folder / name).write_text(text, encoding="utf-8")
    print(f"{len(pages)} pages in {folder.relative_to(DOCS.parent)}")


def overview(specs: Iterable[Spec]) -> str:
    """A table with a line for each distribution and each of its variants."""
    variants = [each for spec in specs if spec.kind != "map" for each in spec.with_variants()]
    head = ("Distribution", "Values", "Hardened", "Density", "KL", "Gradient", "Cost")
    return table(head, map(overview_row, variants))


def overview_row(spec: Spec) -> tuple[str, ...]:
    """What tells it from others."""
    switches = [word for word in spec.switches if word.partition("=")[0] not in spec.counts]
    bias = next((law.expected for law in spec.laws if law.kind == "gradient_bias"), None)
    divergence = "no"
    if "kl" in spec.closed_forms:
        divergence = f"equal {words(list(spec.kl_needs_equal))}" if spec.kl_needs_equal else "yes"
    return (
        f"[{spec.title}](../maths/{spec.name}.md)"
        + (f" `{', '.join(switches)}`" if switches else ""),
        points(spec.relax.support),
        SHORT_HARDENING[spec.harden.law] if spec.harden else "",
        SHORT_DENSITY[spec.density.kind],
        divergence,
        SHORT_GRADIENT[spec.relax.gradient] + SHORT_BIAS[bias],
        cost(spec),
    )


def points(support: Domain) -> str:
    """Where values lie, in a word or two."""
    if isinstance(support, Independent):
        return f"{points(support.of)} in every {'row' if support.of.event_dim else 'entry'}"
    if isinstance(support, Interval):
        left, right = ("(["[closed] + ")]"[closed] for closed in support.closed)
        return f"{left[0]}{support.low:g}, {support.high:g}{right[1]}"
    return SHORT_POINTS.get(type(support).__name__, support.describe())


def cost(spec: Spec) -> str:
    """The order of the work of an event, from the shapes of its parameters and its noise."""
    given = [spec.parameters[name].shape for name in spec.parameterisations()[0]]
    if matrix := next((shape for shape in given if len(shape) == 2), None):
        return f"${matrix[0]}^2$, and ${matrix[0]}^3$ once"
    size = max((spec.noise.shape, *given, shape_of_value(spec)), key=len)
    return f"${' '.join(f'({n})' if '+' in n else n for n in size) or '1'}$"


def shape_of_value(spec: Spec) -> tuple[str, ...]:
    """Rows come from counts."""
    sizes = next((p.shape for p in spec.parameters.values() if len(p.shape) == 1), ())
    return (*(spec.parameters[n].symbol for n in spec.counts), *sizes) if spec.counts else sizes


def page(spec: Spec) -> str:
    """The page of one specification, with a section for each variant."""
    parts = [
        f"# {spec.title}",
        spec.summary,
        classes(spec),
        picture(law_picture(spec)),
        "## Parameters",
        *parameters(spec),
        *(directions(spec) if spec.kind == "map" else mathematics(spec, None, "##")),
    ]
    for variant in spec.with_variants()[1:]:
        switches = [word for word in variant.switches if word.partition("=")[0] not in spec.counts]
        parts += [f"## With `{', '.join(switches)}`", picture(law_picture(variant))]
        if variant.optional:
            rows = [parameter_row(n, variant.parameters[n], variant) for n in variant.optional]
            parts.append(table(PARAMETER_HEAD, rows))
        parts.append("What differs:")
        parts += mathematics(variant, spec, "###")
    parts += ["## References", *references(spec)]
    return "\n\n".join(part for part in parts if part) + "\n"


def picture(drawn: Picture) -> str:
    """Draws it, and shows it with what there is to see."""
    drawn.save(PICTURES)
    return drawn.markdown(PICTURES.name)


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
    """Sections on map, density, hardening, laws and cases; those only that differ from `base`."""
    if base is None or spec.noise != base.noise or spec.relax != base.relax:
        law, symbol = NOISE[spec.noise.law], spec.noise.symbol
        yield f"{level} Map"
        yield (
            f"Noise ${symbol} \\sim {law}$ of shape {shape(spec.noise.shape)}, independent in "
            "every entry:"
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
        yield HARDENING[spec.harden.law]
    if base is None or spec.closed_forms != base.closed_forms:
        yield f"{level} Closed forms"
        yield listing(closed_form(form, spec) for form in spec.closed_forms) or "None."
    if spec.laws and (base is None or spec.laws != base.laws):
        yield f"{level} Laws and limits"
        yield listing(law_in_words(law, spec) for law in spec.laws)
    if base is None and (signal := gradient_picture(spec)):
        yield f"{level} Gradient"
        yield picture(signal)
    if spec.cases:
        yield f"{level} Cases"
        yield "Log densities computed with 50 digits, against which both packages are tested."
        yield table(("Why", "Parameters", "Value", "Log density"), map(case_row, spec.cases))


def closed_form(form: str, spec: Spec) -> str:
    """A name, with the condition for it."""
    if form == "kl" and spec.kl_needs_equal:
        equal = words([f"`{name}`" for name in spec.kl_needs_equal])
        return f"{CLOSED_FORMS[form]}, for equal {equal}"
    return CLOSED_FORMS[form]


def law_in_words(law: Law, spec: Spec) -> str:
    """A sentence, or the bare keys of a law that has none here."""
    if law.kind == "limit" and law.expected in LIMITS and law.parameter:
        symbol = spec.parameters[law.parameter].symbol
        limit = {"zero": "0", "infinity": r"\infty", None: ""}[law.to]
        return f"As ${symbol} \\to {limit}$, {LIMITS[law.expected]}."
    if law.map in SYMMETRIES:
        return SYMMETRIES[law.map].format(parameter=law.parameter)
    if law.kind == "gradient_bias" and law.expected in BIAS:
        return BIAS[law.expected]
    return f"{str(law).capitalize()}."


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


if __name__ == "__main__":
    main()
