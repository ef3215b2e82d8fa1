"""Models by name from the hub."""

from glasschat.models.hub.fetch import fetch, is_reference

__all__ = ["fetch", "is_reference"]
