"""Tools that hold an implementation to a specification; `check_distribution` is the public door.

`strategies` needs the extra `relaxit-reference[testing]` (Hypothesis); the others do not.
"""
