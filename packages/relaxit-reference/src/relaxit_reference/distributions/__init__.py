"""One file per distribution; `relaxit_reference` exports them all."""
