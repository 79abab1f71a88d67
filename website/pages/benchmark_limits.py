"""The limits that the samplers shall keep, and explanations where they do not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .markdown_parts import table
from .results_words import digits

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
"""The smallest time of a peer, in times of ours, for a sample of 10^6 entries and its gradient."""
SMALL, LARGE = 1024, 1_000_000
"""The number of entries of the small size, and about the number of entries of the large size."""
FLOOR, DRAWN, COMPILED = 1.6, 1.5, 1.0
"""The largest ratios that are allowed: the time of a sampler by the time of its floor, the time of
many drawn categories by the time of two, and of a compiled `relax` by an eager `relax`.
"""

LIMITS = {
    "GumbelSoftmax hard": (
        "The noise comes first: the generator, and two logarithms in the precision that the tails "
        "need. Next are the place of the maximum, which torch does not vectorise, and the softmax "
        "of the backward pass."
    ),
    "StochasticTimesSmooth": (
        "The generator comes first, as it does for the peer. Then come the sigmoid, the square "
        "root and the comparison, and in the backward pass three products and a choice. Each "
        "is a pass over memory of about equal cost."
    ),
    "CorrelatedRelaxedBernoulli": (
        "After the noise and a product with a matrix come the log-odds of the normal distribution "
        "function. To be exact in the tails they need an error function, a root and a logarithm: "
        "passes over memory that a compiler joins."
    ),
    "GumbelSoftmaxTopK k-hot": (
        "The noise and `topk` of each row, which torch does not vectorise, come first. The "
        "drawn categories are summed in float64."
    ),
    "ExpGumbelSoftmax": (
        "Its log-softmax keeps the digits of an entry that is nearly certain. The fused "
        "log-softmax of torch does not."
    ),
    "InvertibleGaussian": (
        "Two parameters are read and two gradients are written. Each way has a softmax and appends "
        "an entry to each row. These are several passes, even if a compiler joins them."
    ),
    "CorrelatedBernoulli": (
        "The log-odds of the normal distribution function decide a bit. They are computed with the "
        "precision of a density: in several branches, each for all entries."
    ),
    "PlackettLuce": (
        "Categories are found one after the other: each by a maximum, and then masked for the "
        "next. So ties are broken in the same way as for relaxed rows."
    ),
    "GeneralizedGumbelSoftmax": (
        "The probabilities of the count and their derivatives come before its noise. They are "
        "computed in float64 by a continued fraction, and each term takes kernels of its own."
    ),
}
"""Why a sampler misses a limit."""


def limits(results: Mapping[str, Any]) -> Iterable[str]:
    """The limits that are not kept, and the operations that take the time."""
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
        "The limits that these samplers miss. The ratios compare the time of a peer with our time, "
        "and our time with the time of the noise and one pass over memory. Small draws are "
        "dominated by calls from Python and kernel launches: our noise has full-range tails, which "
        "take more kernels than the noise of the peers, and a distribution is constructed where a "
        "function needs none. The floor counts one pass over memory. An eager map takes a pass "
        "for each of its operations, forward and backward; a compiled `relax` joins them. If a map "
        "is only one or two operations that torch has vectorised, there is nothing to join."
    )
    yield table(("Method", "Against", "Asked", "Found"), lines)
    joined = {row["method"] for row in results["floor"] if row["times_compiled"] <= FLOOR}
    for method in dict.fromkeys(methods):
        yield f"### Profile of {method}"
        if method in LIMITS:
            yield LIMITS[method]
        if method in joined:
            yield "With a compiled `relax` it keeps the limit for its noise and one pass."
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
