"""Pages that are generated from specifications and results."""
