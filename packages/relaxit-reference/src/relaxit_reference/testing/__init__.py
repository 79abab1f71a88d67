"""Tools that hold an implementation to a specification; `check_distribution` is the public door.

`strategies` and `check` need the extra `relaxit-reference[testing]` (Hypothesis).
"""
