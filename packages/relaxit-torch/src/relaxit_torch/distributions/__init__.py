"""One file per distribution; `relaxit_torch` exports them all."""
