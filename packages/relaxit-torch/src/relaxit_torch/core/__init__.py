"""The contract of a distribution: what an author reads besides the formula."""
