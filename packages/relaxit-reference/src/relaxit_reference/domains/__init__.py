"""The domains of parameters and values: a predicate, words, and coordinates.

`specs/README.md` describes the same list for people. A continuous domain has a chart: free
coordinates on R^d, in which densities are integrated and values are drawn.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from relaxit_reference.domains.domain import SUM_TOLERANCE as SUM_TOLERANCE
from relaxit_reference.domains.domain import Array as Array
from relaxit_reference.domains.domain import Chart as Chart
from relaxit_reference.domains.domain import Domain as Domain
from relaxit_reference.domains.domain import Numeric as Numeric
from relaxit_reference.domains.matrices import Correlation as Correlation
from relaxit_reference.domains.matrices import CorrelationCholesky as CorrelationCholesky
from relaxit_reference.domains.matrices import Covariance as Covariance
from relaxit_reference.domains.matrices import LowerCholesky as LowerCholesky
from relaxit_reference.domains.matrices import Matrix as Matrix
from relaxit_reference.domains.scalars import Above as Above
from relaxit_reference.domains.scalars import AtLeast as AtLeast
from relaxit_reference.domains.scalars import Below as Below
from relaxit_reference.domains.scalars import Boolean as Boolean
from relaxit_reference.domains.scalars import Integer as Integer
from relaxit_reference.domains.scalars import Interval as Interval
from relaxit_reference.domains.scalars import Positive as Positive
from relaxit_reference.domains.scalars import Real as Real
from relaxit_reference.domains.vectors import Arrangement as Arrangement
from relaxit_reference.domains.vectors import CategoryLogits as CategoryLogits
from relaxit_reference.domains.vectors import Independent as Independent
from relaxit_reference.domains.vectors import LogSimplex as LogSimplex
from relaxit_reference.domains.vectors import OneHot as OneHot
from relaxit_reference.domains.vectors import Simplex as Simplex

KINDS: dict[str, type[Domain]] = {
    "real": Real,
    "positive": Positive,
    "above": Above,
    "at_least": AtLeast,
    "below": Below,
    "interval": Interval,
    "simplex": Simplex,
    "log_simplex": LogSimplex,
    "category_logits": CategoryLogits,
    "boolean": Boolean,
    "one_hot": OneHot,
    "independent": Independent,
    "arrangement": Arrangement,
    "correlation": Correlation,
    "correlation_cholesky": CorrelationCholesky,
    "covariance": Covariance,
    "lower_cholesky": LowerCholesky,
    "integer": Integer,
}


def from_table(table: Mapping[str, Any]) -> Domain:
    """The domain of a table such as `{ kind = "interval", low = 0.0, high = 1.0 }`.

    Raises:
        ValueError: `table` is no table, its kind is unknown, or it has keys of another kind.
    """
    if not isinstance(table, Mapping):
        raise ValueError(f"must be a table, but got {table!r}")
    arguments = {k: tuple(v) if isinstance(v, list) else v for k, v in table.items()}
    kind = arguments.pop("kind", None)
    if kind not in KINDS:
        raise ValueError(f"kind must be one of {', '.join(KINDS)}, but got {kind!r}")
    if "of" in table:
        arguments["of"] = from_table(table["of"])
    try:
        return KINDS[kind](**arguments)
    except TypeError as error:
        raise ValueError(f"a domain of kind {kind!r} does not take these keys: {error}") from None


def nearest_interior(value: Numeric, dtype: DTypeLike = np.float64) -> Array:
    """`value`, with 0 and 1 replaced by the nearest numbers of `dtype` inside (0, 1)."""
    x = np.asarray(value, dtype=np.float64)
    zero, one = np.zeros((), dtype), np.ones((), dtype)
    above, below = float(np.nextafter(zero, one)), float(np.nextafter(one, zero))
    return np.where(x == 0, above, np.where(x == 1, below, x))
