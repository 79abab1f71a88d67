"""Gradient estimators by name, for models whose decoder reads discrete codes while they train.

An estimator is a function of `relaxit_torch.estimators`, named in kebab case. Its options follow
from its signature: those that are numbers, or words, may be given with the name.
"""

import functools
import inspect
from collections.abc import Callable, Iterator
from typing import Any, Literal, get_args, get_origin, get_type_hints

from torch import Tensor
from torch.distributions import Distribution, Independent

from relaxit_torch import estimators
from relaxit_vae.config import Config, flag
from relaxit_vae.errors import InputError

Estimator = Callable[..., Tensor]


def estimators_by_name() -> dict[str, Estimator]:
    """Every estimator that `relaxit_torch` exports, by its name in kebab case."""
    return {
        name.replace("_", "-"): value
        for name, value in sorted(vars(estimators).items())
        if inspect.isfunction(value)
    }


def chosen_estimator(config: Config) -> Estimator | None:
    """The estimator of a run, if it has one.

    Raises:
        InputError: it does not exist, or it has a temperature of its own besides that of the run,
            which it would not take.
    """
    if not config.estimator:
        return None
    estimator = find_estimator(config.estimator)
    if _fixes_temperature(estimator):
        for name in ("temperature", "final_temperature"):
            if given := getattr(config, name):
                raise InputError(
                    f"{flag(name)} must be left out where the estimator has a temperature of its "
                    f"own, but got {given} with {config.estimator}"
                )
    return estimator


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


def own_temperature(estimator: Estimator) -> float | None:
    """The temperature that it has by default; `None` if it has none, or it was given."""
    option = inspect.signature(estimator).parameters.get("temperature")
    return None if option is None or _fixes_temperature(estimator) else float(option.default)


def as_one_event(law: Distribution, prior: Distribution) -> Distribution:
    """The law of all variables of an image, which the decoder couples; batch shape `(batch,)`."""
    return Independent(law, len(prior.batch_shape)) if prior.batch_shape else law


def _fixes_temperature(estimator: Estimator) -> bool:
    return isinstance(estimator, functools.partial) and "temperature" in estimator.keywords


def _option(word: str, estimator: Estimator, flag: str) -> tuple[str, Any]:
    name, _, text = word.replace("-", "_").partition("=")
    known = dict(_options(estimator))
    if name not in known:
        words = ", ".join(known) or "none"
        raise InputError(f"options of {flag} must be among {words}, but got {word}")
    if isinstance(choices := known[name], tuple):
        if text not in choices:
            allowed = ", ".join(choices)
            raise InputError(f"{flag} must have {name} as one of {allowed}, but got {word}")
        return name, text
    try:
        return name, known[name](word.partition("=")[2])
    except ValueError:
        expected = known[name].__name__
        raise InputError(f"{flag} must have {name} as {expected}, but got {word}") from None


def _options(estimator: Estimator) -> Iterator[tuple[str, Any]]:
    """Names of the options that a command can give, with their type or the words they may be."""
    hints = get_type_hints(estimator)
    for option in inspect.signature(estimator).parameters.values():
        if option.kind is not option.KEYWORD_ONLY:
            continue
        kinds = get_args(hints[option.name])
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        if isinstance(option.default, int | float):
            yield option.name, type(option.default)
        elif words:
            yield option.name, tuple(words)
