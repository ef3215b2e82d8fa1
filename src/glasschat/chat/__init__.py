"""Conversations and replies in flight."""
