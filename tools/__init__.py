"""What `make` runs before and around the program; standard library only."""
