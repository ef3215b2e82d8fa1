"""Ids in, events out."""
