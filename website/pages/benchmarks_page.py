"""The page of the benchmarks, from `docs/results/benchmarks.json`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from .benchmark_limits import limits
from .markdown_parts import table
from .results_words import digits

Row = dict[str, Any]


def benchmarks(results: Mapping[str, Any]) -> list[str]:
    """The parts of the page: times and ratios, kernels and bytes, growth, and missed limits."""
    about = results["about"]
    return [
        f"In {about['dtype']} on the device {about['device']}, with `validate_args=False` "
        "for all constructors. Peers that draw one noise value for a whole batch were changed to "
        "draw one for each entry.",
        "## Time",
        "Construction and one sample, in milliseconds: medians of one process. In brackets, the "
        "time of the peer divided by our time: the median ratio of runs in turns, so that a "
        "disturbance of the machine slows both.",
        *times(results["time"], results["ratio"]),
        "## Log densities",
        "Construction, the log density of a sample and its backward pass, measured like the times "
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
        "Operations that launch a kernel, and bytes that are kept for the backward pass, for each "
        "entry of the sample. These numbers carry over to a GPU.",
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
        "Each shortcut of the library is compared with the few torch operations that define it. "
        "The table shows how many times as long these operations take, and the bytes for each "
        "entry that both ways keep for the backward pass. A shortcut stays if, at the larger size, "
        "it gains 1.25 times in time or 2 times in bytes.",
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
        "and passing over it once: eager, and with a compiled `relax` after the noise. The last "
        "column compares a compiled `relax` with an eager `relax`.",
        table(
            ("Method", "Eager", "With compiled `relax`", "`relax`, compiled to eager"),
            multiples(results["floor"], results["compiled"]),
        ),
        "## Growth",
        "Nanoseconds and allocated bytes for each entry of a sample, with its backward pass. They "
        "are constant if the cost is linear. Small sizes show the cost of a call.",
        *growth(results["growth"]),
        "## Number of drawn categories",
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
    """A table for each direction of growth. Each method has its own sizes."""
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
