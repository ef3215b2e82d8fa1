"""Backends: one interface for pages and the API, whatever generates the tokens."""

from glasschat.backends.base import Backend, Capability, Description, Readiness
from glasschat.backends.local import LocalBackend
from glasschat.backends.provenance import Provenance

__all__ = ["Backend", "Capability", "Description", "LocalBackend", "Provenance", "Readiness"]
