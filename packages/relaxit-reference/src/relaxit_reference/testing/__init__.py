"""The test kit of `relaxit-torch`: strategies, statistical tests, and the checks of properties.

Only `strategies` needs the extra `relaxit-reference[testing]`, which brings Hypothesis.
"""
