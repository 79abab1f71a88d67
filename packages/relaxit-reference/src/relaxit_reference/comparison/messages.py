"""Python source of inputs: what a failure message gives its reader to paste."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from relaxit_reference.spec import Spec


def literal(value: Any) -> str:
    """Python source of an array or number, exact to the last bit."""
    array = np.asarray(value)
    if array.ndim == 0:
        return _number(array.item())
    return "np.array(" + _nested(array.tolist()) + ")"


def constructor(
    spec: Spec, parameters: Mapping[str, Any], module: str = "relaxit_reference"
) -> str:
    """Python source of a distribution."""
    arguments = {name: literal(value) for name, value in parameters.items()}
    arguments |= {name: str(value) for name, value in spec.arguments.items()}
    inside = ", ".join(f"{name}={value}" for name, value in arguments.items())
    return f"{module}.{spec.classes.reference}({inside})"


def reproduction(spec: Spec, parameters: Mapping[str, Any], call: str, argument: Any) -> str:
    """A script that prints what the reference returns for an input."""
    return "\n".join(
        [
            "import numpy as np",
            "import relaxit_reference",
            f"distribution = {constructor(spec, parameters)}",
            f"print(distribution.{call}({literal(argument)}))",
        ]
    )


def _nested(value: Any) -> str:
    if isinstance(value, list):
        return "[" + ", ".join(_nested(item) for item in value) + "]"
    return _number(value)


def _number(value: Any) -> str:
    text = repr(value)
    return {"inf": "np.inf", "-inf": "-np.inf", "nan": "np.nan"}.get(text, text)
