"""Writes the page of every specification, with its pictures; run before `mkdocs build`."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pictures import Picture, gradient_picture, law_picture

from relaxit_reference import Spec, load_specs
from relaxit_reference.spec import Case, Law, Parameter

MATHS = Path(__file__).parent / "maths"
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
        "The gradient is straight-through: that of the relaxed map, although the value is discrete."
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


def main() -> None:
    """Writes all pages, and removes those of specifications that are gone."""
    shutil.rmtree(MATHS, ignore_errors=True)
    PICTURES.mkdir(parents=True)
    pages = {f"{spec.name}.md": page(spec) for spec in load_specs()}
    for name, text in pages.items():
        (MATHS / name).write_text(text, encoding="utf-8")
    print(f"{len(pages)} pages in {MATHS}")


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
        switches = {n: value for n, value in variant.arguments.items() if n not in spec.counts}
        arguments = ", ".join(f"{name}={value}" for name, value in switches.items())
        parts += [f"## With `{arguments}`", picture(law_picture(variant)), "What differs:"]
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


def parameters(spec: Spec) -> Iterator[str]:
    """The table of the constructor's arguments."""
    yield table(
        ("Name", "Symbol", "Meaning", "Must be", "Typical", "Shape", "Default"),
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
    """A displayed formula, in as many lines as it has parts."""
    return "\n\nwith\n\n".join(f"$$\n{part}\n$$" for part in latex.split(r", \qquad "))


def table(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """A Markdown table, without the columns that are empty."""
    lines = list(rows)
    kept = [i for i in range(len(head)) if any(line[i] for line in lines)]
    cells = [head, tuple("---" for _ in head), *lines]
    return "\n".join("| " + " | ".join(line[i] for i in kept) + " |" for line in cells)


def listing(items: Iterable[str]) -> str:
    """A Markdown list."""
    return "\n".join(f"- {item}" for item in items)


def shape(names: tuple[str, ...]) -> str:
    """A shape as Python writes it."""
    return f"`({', '.join(names)}{',' if len(names) == 1 else ''})`"


def plain(value: Any) -> str:
    """A number or nested list as Python writes it; a table by its keys."""
    if isinstance(value, Mapping):
        return ", ".join(f"{name} = {plain(entry)}" for name, entry in value.items())
    return repr(value)


def words(items: list[str]) -> str:
    """Items as a phrase: `a, b and c`."""
    return " and ".join(filter(None, [", ".join(items[:-1]), items[-1]]))


if __name__ == "__main__":
    main()
