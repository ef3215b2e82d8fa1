"""Replies that another server writes: any with OpenAI's chat completions API."""

from glasschat.backends.remote.backend import RemoteBackend
from glasschat.backends.remote.client import Timeouts
from glasschat.backends.remote.dialect import DIALECTS
from glasschat.backends.remote.options import Address, RemoteOptions
from glasschat.backends.remote.reply import RemoteReply

__all__ = [
    "DIALECTS",
    "Address",
    "RemoteBackend",
    "RemoteOptions",
    "RemoteReply",
    "Timeouts",
]
