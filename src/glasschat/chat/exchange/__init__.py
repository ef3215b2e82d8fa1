"""Conversations as files: to read, to keep, and from others."""
