"""What the page of the benchmarks shows, from `docs/results/benchmarks.json`."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from markdown_parts import table

Row = dict[str, Any]


def benchmarks(results: dict[str, Any]) -> list[str]:
    """Medians and ratios, kernels and bytes, and what is asked of all samplers."""
    about = results["about"]
    return [
        f"In {about['dtype']} on the device {about['device']}, with `validate_args=False` "
        "everywhere. A peer that draws one noise value for a whole batch was given as many as the "
        "batch has entries.",
        "## Time",
        "Construction and one sample, in milliseconds: medians of one process. In brackets, how "
        "many times as long as ours the peer takes.",
        *times(results["time"]),
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
        "## Next to the noise",
        "Construction, sample and backward pass, as a multiple of drawing the same noise in place "
        "and passing over it once; and `relax` compiled, as a multiple of eager.",
        table(("Method", "Noise", "Compiled"), multiples(results["floor"], results["compiled"])),
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
    ]


def times(rows: list[Row]) -> Iterable[str]:
    """A table for each size."""
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
                        f"{digits(row['median_ms'])} ({row['times_ours']:.2f})"
                        for direction in ("forward", "forward + backward")
                        for row in [found[method, sampler, direction]]
                    ),
                )
                for method, sampler in pairs
            ),
        )


def multiples(floor: list[Row], compiled: list[Row]) -> Iterable[tuple[str, ...]]:
    """A line for each method."""
    by_method = {row["method"]: row["times"] for row in compiled}
    for row in floor:
        yield row["method"], f"{row['times']:.2f}", f"{by_method[row['method']]:.2f}"


def growth(rows: list[Row]) -> Iterable[str]:
    """A table for each direction of growth."""
    for along in dict.fromkeys(row["along"] for row in rows):
        chosen = [row for row in rows if row["along"] == along]
        sizes = list(dict.fromkeys((row["batch"], row["size"]) for row in chosen))
        found = {(row["method"], row["batch"], row["size"]): row for row in chosen}
        yield table(
            ("Method", *(f"{batch:,} x {size:,}" for batch, size in sizes)),
            (
                (
                    method,
                    *(
                        f"{digits(row['ns_per_entry'])} ns, {digits(row['bytes_per_entry'])} B"
                        for size in sizes
                        for row in [found[method, *size]]
                    ),
                )
                for method in dict.fromkeys(row["method"] for row in chosen)
            ),
        )


def digits(value: float) -> str:
    """Three digits of a number, without exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
