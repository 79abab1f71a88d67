"""Words for keys and values of measured results."""

from __future__ import annotations

from typing import Any

NAMES = {
    "images_where_halves_are_above": "images for which this mean is above the bound",
    "mean_of_halves": "mean of the bounds by two halves of the samples",
}
"""Phrases for keys that need other words."""

WORDS = {"cpu": "CPU", "elbo": "ELBO", "kl": "KL", "stderr": "standard error"}
"""Abbreviations in their usual spelling."""


def heading(key: str) -> str:
    """A key as a heading."""
    words = phrase(key)
    return words[0].upper() + words[1:]


def phrase(key: str) -> str:
    """A key as words within a sentence."""
    return NAMES.get(key) or " ".join(WORDS.get(word, word) for word in key.split("_"))


def shown(value: Any) -> str:
    """A number with about four digits; anything else as it is."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: ""}[value]
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        # Browsers break lines at a hyphen, but not at a minus sign.
        return (f"{value:.4g}" if abs(value) < 100 else f"{value:.2f}").replace("-", "\u2212")
    if isinstance(value, list):
        return ", ".join(map(shown, value))
    return str(value)


def digits(value: float) -> str:
    """Three digits of a number, without exponent."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"
