"""Models by name from the Hugging Face hub."""

from glasschat.models.hub.fetch import fetch, is_reference

__all__ = ["fetch", "is_reference"]
