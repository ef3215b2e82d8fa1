"""Scripts that `make` runs; those that install use the standard library only."""
