"""Gradient estimators by name, for models whose decoder reads discrete codes while they train.

An estimator is a function of `relaxit_torch.estimators`, named in kebab case. Its keyword-only
arguments that are numbers or words are its options, as in `gumbel-rao:samples=100`.
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

Function = Callable[..., Tensor]


class Estimator:
    """A gradient estimator with its own temperature.

    Args:
        function: of `relaxit_torch.estimators`, perhaps with options.
        temperature: replaces its default temperature.
    """

    def __init__(self, function: Function, temperature: float | None = None) -> None:
        option = inspect.signature(function).parameters.get("temperature")
        free = option is not None and not _fixes_temperature(function)
        self.function = function
        self.temperature = (temperature or float(option.default)) if option and free else None
        """The temperature now; `None` without one, or where the options fix it."""

    def __call__(self, distribution: Distribution, f: Callable[[Tensor], Tensor]) -> Tensor:
        """Returns an estimate of `E f`, whose gradient is the estimator's."""
        if self.temperature is None:
            return self.function(distribution, f)
        return self.function(distribution, f, temperature=self.temperature)


def estimators_by_name() -> dict[str, Function]:
    """Returns every estimator of `relaxit_torch`, by its name in kebab case."""
    return {
        name.replace("_", "-"): value
        for name, value in sorted(vars(estimators).items())
        if inspect.isfunction(value)
    }


def chosen_estimator(config: Config) -> Estimator | None:
    """Returns the estimator of a run, if it has one.

    Raises:
        InputError: it does not exist, or both its options and the run set a temperature.
    """
    if not config.estimator:
        return None
    function = find_estimator(config.estimator)
    if _fixes_temperature(function):
        for name in ("temperature", "final_temperature"):
            if given := getattr(config, name):
                raise InputError(
                    f"{flag(name)} must be left out where the estimator has a temperature of its "
                    f"own, but got {given} with {config.estimator}"
                )
    return Estimator(function, config.temperature)


def find_estimator(words: str, *, flag: str = "--estimator") -> Function:
    """Returns the estimator that is named, with its options: `gumbel-rao:samples=100`.

    Raises:
        InputError: there is no estimator of that name, or it has no such option.

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


def as_one_event(distribution: Distribution, prior: Distribution) -> Distribution:
    """Returns the distribution with all variables of an image as one event: batch `(batch,)`."""
    dimensions = len(prior.batch_shape)
    return Independent(distribution, dimensions) if dimensions else distribution


def _fixes_temperature(function: Function) -> bool:
    return isinstance(function, functools.partial) and "temperature" in function.keywords


def _option(word: str, function: Function, flag: str) -> tuple[str, Any]:
    name, _, text = word.replace("-", "_").partition("=")
    known = dict(_options(function))
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


def _options(function: Function) -> Iterator[tuple[str, Any]]:
    """Yields the name of each option with its type, or with the words it may be."""
    hints = get_type_hints(function)
    for option in inspect.signature(function).parameters.values():
        if option.kind is not option.KEYWORD_ONLY:
            continue
        kinds = get_args(hints[option.name])
        words = [word for kind in kinds if get_origin(kind) is Literal for word in get_args(kind)]
        if isinstance(option.default, int | float):
            yield option.name, type(option.default)
        elif words:
            yield option.name, tuple(words)
