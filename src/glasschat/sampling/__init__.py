"""Logits to a token id. NumPy only."""
