"""The only room that imports a backend."""
