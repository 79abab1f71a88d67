"""Hypothesis strategies for the parameters, noise and values of a specification."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray

from relaxit_reference.comparison.draws import NOISE_RANGE, Ranges, place_parameters
from relaxit_reference.comparison.draws import accepted_and_refused as accepted_and_refused
from relaxit_reference.comparison.draws import random_parameters as random_parameters
from relaxit_reference.domains import Array
from relaxit_reference.spec import Spec

BATCH_SHAPES = ((), (1,), (3,), (2, 3))


@st.composite
def parameters(
    draw: st.DrawFn,
    spec: Spec,
    *,
    ranges: Ranges | None = None,
    dtype: Any = np.float64,
    batch_shape: tuple[int, ...] | None = None,
    categories: int | None = None,
) -> dict[str, Array]:
    """Parameters in `ranges`, otherwise in their typical ranges; some broadcast over the batch."""
    names = draw(st.sampled_from(spec.parameterisations()))
    batch = draw(st.sampled_from(BATCH_SHAPES)) if batch_shape is None else batch_shape
    shapes = {name: draw(st.sampled_from([batch, (), (1,) * len(batch)])) for name in names}
    if batch_shape is not None:
        shapes[names[-1]] = batch
    count = draw(st.sampled_from(spec.sizes)) if categories is None else categories

    def draw_unit(shape: tuple[int, ...]) -> Array:
        return draw(arrays(np.float64, shape, elements=st.floats(0, 1, width=32)))

    return place_parameters(spec, names, shapes, count, ranges or {}, dtype, draw_unit)


@st.composite
def noise(draw: st.DrawFn, spec: Spec, parameters: Mapping[str, Array], dtype: Any) -> Array:
    """Base noise for `parameters`, tails included, with or without a sample dimension."""
    distribution = spec.reference_class(**parameters, **spec.arguments)
    sample = draw(st.sampled_from([(), (2,)]))
    low, high = NOISE_RANGE[spec.noise.distribution]
    shape = (*sample, *distribution.batch_shape, *distribution.noise_shape)
    drawn: NDArray[Any] = draw(arrays(np.float64, shape, elements=st.floats(low, high)))
    return drawn.astype(dtype).astype(np.float64)


@st.composite
def values(
    draw: st.DrawFn, spec: Spec, parameters: Mapping[str, Array], dtype: Any, reach: float = 15.0
) -> Array:
    """Any values of the support, with coordinates within `reach` if it is continuous."""
    distribution = spec.reference_class(**parameters, **spec.arguments)
    chart, event = distribution.chart, distribution.event_shape
    if spec.discrete:
        states = distribution.states()
        index = draw(st.integers(0, len(states) - 1))
        rolled = np.roll(states, index, axis=0)  # so each batch element gets another state
        order = np.arange(int(np.prod(distribution.batch_shape))).reshape(
            distribution.batch_shape
        ) % len(states)
        picked = np.take_along_axis(
            rolled, order.reshape(1, *order.shape, *(1,) * len(event)), axis=0
        )[0]
        return np.asarray(picked).astype(dtype).astype(np.float64)
    shape = (*distribution.batch_shape, chart.chart_dim(event))
    coordinates = draw(arrays(np.float64, shape, elements=st.floats(-reach, reach)))
    return np.asarray(chart.from_chart(coordinates)).astype(dtype).astype(np.float64)
