"""Keys and values of measured results, as people write them."""

from __future__ import annotations

from typing import Any

NAMES = {
    "images_where_halves_are_above": "images for which this mean is above the bound",
    "mean_of_halves": "mean of the bounds by two halves of the samples",
}
"""Keys in other words than their own."""

WORDS = {"cpu": "CPU", "elbo": "ELBO", "kl": "KL", "stderr": "standard error"}
"""Abbreviations, as people write them."""


def heading(key: str) -> str:
    """A key as words."""
    words = phrase(key)
    return words[0].upper() + words[1:]


def phrase(key: str) -> str:
    """A key as words within a sentence."""
    return NAMES.get(key) or " ".join(WORDS.get(word, word) for word in key.split("_"))


def shown(value: Any) -> str:
    """A number with the digits that people read; anything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        # A minus sign, for lines break at a hyphen.
        return (f"{value:.4g}" if abs(value) < 100 else f"{value:.2f}").replace("-", "\u2212")
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)
