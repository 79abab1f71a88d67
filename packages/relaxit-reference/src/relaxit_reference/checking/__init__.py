"""Examines an implementation of a distribution and names its faults: `check_distribution`."""
