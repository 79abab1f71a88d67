"""Gradient estimators by name, for models whose decoder reads discrete codes while they train.

An estimator is a function of `relaxit_torch.estimators`, named in kebab case. Its options follow
from its signature: those that are numbers may be given with the name.
"""

import functools
import inspect
from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.distributions import Distribution, Independent

from relaxit_torch import estimators
from relaxit_vae.errors import InputError

Estimator = Callable[..., Tensor]


def estimators_by_name() -> dict[str, Estimator]:
    """Every estimator that `relaxit_torch` exports, by its name in kebab case."""
    return {
        name.replace("_", "-"): value
        for name, value in sorted(vars(estimators).items())
        if inspect.isfunction(value)
    }


def find_estimator(words: str, *, flag: str = "--estimator") -> Estimator:
    """The estimator that is named, with its options: `gumbel-rao` or `gumbel-rao:samples=100`.

    Raises:
        InputError: there is none of that name, or it has no such option.

    Example:
        >>> find_estimator("reinmax:temperature=1.3").keywords
        {'temperature': 1.3}
    """
    name, *options = words.strip().split(":")
    known = estimators_by_name()
    if name not in known:
        raise InputError(f"{flag} must be one of {', '.join(known)}, but got {name}")
    given = dict(_option(word, known[name], flag) for word in options)
    return functools.partial(known[name], **given) if given else known[name]


def takes_temperature(estimator: Estimator) -> bool:
    """Whether its temperature is an option that is not fixed yet."""
    fixed = estimator.keywords if isinstance(estimator, functools.partial) else {}
    return "temperature" in inspect.signature(estimator).parameters and "temperature" not in fixed


def as_one_event(law: Distribution, prior: Distribution) -> Distribution:
    """The law of all variables of an image, which the decoder couples; batch shape `(batch,)`."""
    return Independent(law, len(prior.batch_shape)) if prior.batch_shape else law


def _option(word: str, estimator: Estimator, flag: str) -> tuple[str, Any]:
    name, _, text = word.partition("=")
    name = name.replace("-", "_")
    takes = inspect.signature(estimator).parameters
    options = [p for p in takes.values() if p.kind is p.KEYWORD_ONLY]
    known = ", ".join(p.name for p in options) or "none"
    if name not in [p.name for p in options]:
        raise InputError(f"options of {flag} must be among {known}, but got {word}")
    number = type(takes[name].default) if isinstance(takes[name].default, int | float) else str
    try:
        return name, number(text)
    except ValueError:
        raise InputError(f"{flag} must have {name} as {number.__name__}, but got {word}") from None
