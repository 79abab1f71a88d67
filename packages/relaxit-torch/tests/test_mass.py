"""Densities with atoms have mass one at every corner of their typical ranges."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from relaxit_reference import Spec, load_specs
from relaxit_reference.comparison.quadrature import total_mass

MIXED = [
    pytest.param(spec, names, id=f"{spec}-by {' and '.join(names)}")
    for spec in load_specs()
    if spec.kind != "map" and spec.density.atoms
    for names in spec.parameterisations()
]


@pytest.mark.equivalence
@pytest.mark.parametrize(("of", "names"), MIXED)
def test_atoms_and_density_have_mass_one_at_the_corners(
    of: Spec, names, build_distribution
) -> None:
    units = np.array(list(itertools.product([0.0, 0.5, 1.0], repeat=len(names))))
    parameters = {}
    for name, unit in zip(names, units.T, strict=True):
        parameter = of.parameters[name]
        assert parameter.typical is not None
        parameters[name] = parameter.domain.place(unit, parameter.typical)
    reference = of.reference_class(**parameters, **of.arguments)
    mass = total_mass(reference, build_distribution(of, parameters).logpdf)
    np.testing.assert_allclose(mass, 1, rtol=0, atol=1e-8)
