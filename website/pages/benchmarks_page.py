"""What the page of the benchmarks shows, from `docs/results/benchmarks.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .markdown_parts import table

Row = dict[str, Any]

ASKED = {
    ("GumbelSoftmax", "torch function"): 3.0,
    ("GumbelSoftmax", "pyro"): 2.0,
    ("GumbelSoftmax hard", "torch function"): 3.0,
    ("GumbelSoftmax hard", "relaxit"): 1.5,
    ("BinaryConcrete", "torch"): 2.0,
    ("HardConcrete", "relaxit"): 2.0,
    ("StraightThroughBernoulli", "relaxit"): 3.0,
    ("StochasticTimesSmooth", "relaxit"): 3.0,
    ("InvertibleGaussian", "relaxit"): 1.3,
    ("LogisticNormalSoftmax", "relaxit"): 1.3,
    ("GaussianRelaxedBernoulli", "relaxit"): 1.0,
    ("CorrelatedRelaxedBernoulli", "relaxit"): 1.0,
    ("GumbelSoftmaxTopK k-hot", "relaxit"): 20.0,
}
"""How many times as long as ours the peer shall take for a sample and its gradient, at 10^6."""
SMALL, LARGE = 1024, 1_000_000
"""Entries of the small size, and about those of the size that ratios are asked for."""
FLOOR, DRAWN, COMPILED = 1.6, 1.5, 1.0
"""What a sampler may take at most in times of its floor, many categories in times of two, and a
compiled `relax` in times of an eager one.
"""

LIMITS = {
    "GumbelSoftmax hard": (
        "The noise comes first: the generator, and two logarithms in the precision that the tails "
        "need. Next are the place of the maximum, which torch does not vectorise, and the softmax "
        "of the backward pass."
    ),
    "StochasticTimesSmooth": (
        "The generator comes first, which the peer has too. The sigmoid, the square root and the "
        "comparison are left, and three products and a choice in the backward pass: passes over "
        "memory of about equal cost."
    ),
    "CorrelatedRelaxedBernoulli": (
        "After the noise and a product with a matrix, the log-odds of the normal distribution "
        "function take an error function, a root and a logarithm, to be exact in the tails: passes "
        "over memory that a compiler joins."
    ),
    "GumbelSoftmaxTopK k-hot": (
        "The noise and `topk` of each row, which torch does not vectorise, come first. What is "
        "of the drawn categories is added up in float64."
    ),
    "ExpGumbelSoftmax": (
        "Its log-softmax keeps the digits of an entry that is nearly certain, unlike the fused one "
        "of torch."
    ),
    "InvertibleGaussian": (
        "Two parameters are read and two gradients written, with a softmax each way and an entry "
        "appended to each row: more than one pass, also where a compiler joins them."
    ),
    "CorrelatedBernoulli": (
        "A bit is decided by the log-odds of the normal distribution function, computed in the "
        "precision of a density: several branches, each for all entries."
    ),
    "PlackettLuce": (
        "Categories are found one after the other, each by a maximum and its place, and masked for "
        "the next: so equal scores are decided as they are for relaxed rows."
    ),
    "GeneralizedGumbelSoftmax": (
        "The probabilities of the count come before its noise, with their derivatives: in float64, "
        "and by a continued fraction, whose terms are kernels of their own."
    ),
}
"""Why a number is what it is, where it is not what is asked for."""


def benchmarks(results: Mapping[str, Any]) -> list[str]:
    """Medians and ratios, kernels and bytes, and what is asked of all samplers."""
    about = results["about"]
    return [
        f"In {about['dtype']} on the device {about['device']}, with `validate_args=False` "
        "for all constructors. A peer that draws one noise value for a whole batch was given as "
        "many as the batch has entries.",
        "## Time",
        "Construction and one sample, in milliseconds: medians of one process. In brackets, how "
        "many times as long as ours the peer takes: the median ratio of the two in turns, so that "
        "what disturbs the machine disturbs both.",
        *times(results["time"], results["ratio"]),
        "## Log densities",
        "Construction, the log density of a sample and its backward pass, in milliseconds and as "
        "above.",
        table(
            ("Method", "Distribution", "Size", "Milliseconds", "Times ours", "Kernels"),
            (
                (
                    row["method"],
                    row["distribution"],
                    f"{row['batch']:,} x {row['size']:,}",
                    digits(row["median_ms"]),
                    f"{row['times_ours']:.2f}",
                    f"{row['kernels_forward']} + {row['kernels_backward']}",
                )
                for row in results["log_prob"]
            ),
        ),
        "## Kernels and memory",
        "Operations that launch a kernel, and bytes for each entry of the sample that are kept for "
        "the backward pass: what carries over to a GPU.",
        table(
            ("Method", "Sampler", "Kernels forward", "Kernels backward", "Bytes kept"),
            (
                (
                    row["method"],
                    row["sampler"],
                    str(row["kernels_forward"]),
                    str(row["kernels_backward"]),
                    digits(row["saved_bytes"]),
                )
                for row in results["cost"]
            ),
        ),
        "## Shortcuts and their plain twins",
        "Each hand-written kernel or shortcut of the library next to the few torch operations that "
        "define it: how many times as long the plain operations take, and the bytes that each keeps "
        "for every entry. A shortcut stays if it gains 1.25 times in time or 2 times in bytes at "
        "the larger size.",
        table(
            ("Shortcut", "Size", "Direction", "Milliseconds", "Times as long, plain", "Bytes kept"),
            (
                (
                    row["kernel"],
                    f"{row['batch']:,} x {row['size']:,}",
                    row["direction"],
                    digits(row["shortcut_ms"]),
                    f"{row['times']:.2f}",
                    f"{digits(row['shortcut_bytes'])} / {digits(row['plain_bytes'])}",
                )
                for row in results["kernels"]
            ),
        ),
        "## Next to the noise",
        "Construction, sample and backward pass, as a multiple of drawing the same noise in place "
        "and passing over it once: eager, and with a compiled `relax` after the noise. And `relax` "
        "alone, compiled, as a multiple of eager.",
        table(
            ("Method", "Eager", "With compiled `relax`", "`relax`, compiled to eager"),
            multiples(results["floor"], results["compiled"]),
        ),
        "## Growth",
        "Nanoseconds and allocated bytes for each entry of a sample, with its backward pass: "
        "constant where cost is linear. Small sizes show the cost of a call.",
        *growth(results["growth"]),
        "## Categories that are drawn",
        "k-hot vectors of `GumbelSoftmaxTopK.rsample_khot` for 256 x 10,000 logits.",
        table(
            ("Direction", "k", "Milliseconds", "Times k = 2"),
            (
                (
                    row["direction"],
                    str(row["k"]),
                    digits(row["median_ms"]),
                    digits(row["times"]),
                )
                for row in results["drawn"]
            ),
        ),
        *limits(results),
    ]


def limits(results: Mapping[str, Any]) -> Iterable[str]:
    """What is asked for and not reached, and the operations that the time goes to."""
    lines, methods = [], []
    for row in results["ratio"]:
        method, entries = row["method"], row["batch"] * row["size"]
        if row["direction"] == "forward":
            continue
        least = ASKED.get((method, row["sampler"])) if entries > LARGE else None
        if entries == SMALL:
            least = 1.0
        if least is not None and row["times_ours"] < least:
            what = f"{row['sampler']}, {row['batch']:,} x {row['size']:,}"
            lines.append((method, what, f"at least {least:g}", f"{row['times_ours']:.2f}"))
            methods += [method] if entries > LARGE else []
    for row in results["floor"]:
        if row["times"] > FLOOR:
            found = f"{row['times']:.2f}, {row['times_compiled']:.2f} with compiled `relax`"
            lines.append((row["method"], "noise", f"at most {FLOOR:g}", found))
            methods.append(row["method"])
    for row in results["drawn"]:
        if row["times"] > DRAWN:
            what = f"k = {row['k']} to k = 2, {row['direction']}"
            found = f"{row['times']:.2f}"
            lines.append(("GumbelSoftmaxTopK k-hot", what, f"at most {DRAWN:g}", found))
    for row in results["compiled"]:
        if row["times"] > COMPILED:
            found = f"{row['times']:.2f}"
            lines.append(
                (row["method"], "`relax`, compiled to eager", f"at most {COMPILED:g}", found)
            )
    if not lines:
        return
    yield "## Limits"
    yield (
        "What these samplers do not reach: how many times as long as ours the peer takes, and ours "
        "as its noise and one pass over memory. For a few numbers the time is that of calls, from "
        "Python and of kernels: the noise has full-range tails, by more kernels than the peers', "
        "and a distribution is constructed where a function needs none. The floor counts one pass "
        "over memory; an eager map takes one for each of its operations, forward and backward, and "
        "a compiled `relax` joins them. Where a map is one or two operations that torch has "
        "vectorised, there is nothing to join."
    )
    yield table(("Method", "Against", "Asked", "Found"), lines)
    joined = {row["method"] for row in results["floor"] if row["times_compiled"] <= FLOOR}
    for method in dict.fromkeys(methods):
        yield f"### Profile of {method}"
        if method in LIMITS:
            yield LIMITS[method]
        if method in joined:
            yield "With a compiled `relax` it is within the limit of its noise and one pass."
        yield table(
            ("Operation", "Calls", "Milliseconds", "Share"),
            (
                (
                    f"`{row['operation']}`",
                    digits(row["calls"]),
                    digits(row["ms"]),
                    f"{row['share']:.0%}",
                )
                for row in results["profile"]
                if row["method"] == method
            ),
        )


def times(rows: list[Row], ratios: list[Row]) -> Iterable[str]:
    """A table for each size."""
    keys = ("method", "sampler", "batch", "size", "direction")
    of_peer = {tuple(row[key] for key in keys): row["times_ours"] for row in ratios}
    for batch, size in dict.fromkeys((row["batch"], row["size"]) for row in rows):
        of_size = [row for row in rows if (row["batch"], row["size"]) == (batch, size)]
        pairs = dict.fromkeys((row["method"], row["sampler"]) for row in of_size)
        found = {(row["method"], row["sampler"], row["direction"]): row for row in of_size}
        yield f"### {batch:,} x {size:,}"
        yield table(
            ("Method", "Sampler", "Forward", "Forward and backward"),
            (
                (
                    method,
                    sampler,
                    *(
                        _time(row, of_peer.get(tuple(row[key] for key in keys))) if row else ""
                        for direction in ("forward", "forward + backward")
                        for row in [found.get((method, sampler, direction))]
                    ),
                )
                for method, sampler in pairs
            ),
        )


def _time(row: Row, of_ours: float | None) -> str:
    return digits(row["median_ms"]) + (f" ({of_ours:.2f})" if of_ours else "")


def multiples(floor: list[Row], compiled: list[Row]) -> Iterable[tuple[str, ...]]:
    """A line for each method."""
    by_method = {row["method"]: row["times"] for row in compiled}
    for row in floor:
        cells = row["times"], row["times_compiled"], by_method[row["method"]]
        yield row["method"], *(f"{cell:.2f}" for cell in cells)


def growth(rows: list[Row]) -> Iterable[str]:
    """A table for each direction of growth, of sizes that each method has for itself."""
    for along in dict.fromkeys(row["along"] for row in rows):
        chosen = [row for row in rows if row["along"] == along]
        lines = []
        for method in dict.fromkeys(row["method"] for row in chosen):
            of_method = [row for row in chosen if row["method"] == method]
            first, last = of_method[0], of_method[-1]
            sizes = (f"{row['batch']:,} x {row['size']:,}" for row in (first, last))
            cells = (
                f"{digits(row['ns_per_entry'])} ns, {digits(row['bytes_per_entry'])} B"
                for row in of_method
            )
            lines.append((method, " to ".join(sizes), *cells))
        decades = (f"10^{power} times" if power else "first" for power in range(len(lines[0]) - 2))
        yield table(("Method", f"Sizes, along {along}", *decades), lines)


def digits(value: float) -> str:
    """Three digits of a number, without exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
