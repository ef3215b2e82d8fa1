"""Compares two models: a folder and its GGUF, or two quantisations of one model."""
