"""What it takes to compare an implementation with the reference.

Inputs to compare at, differences that rounding explains, the mass of a density, and the words for a
difference. The checker and the test kit both use these tools.
"""
