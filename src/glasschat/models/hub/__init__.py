"""Models by name from the hub."""

from glasschat.models.hub.finding import fetch, is_reference

__all__ = ["fetch", "is_reference"]
