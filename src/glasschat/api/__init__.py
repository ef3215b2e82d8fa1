"""OpenAI's wire format over a backend, for programs.

The way of one request: `auth` (id, key), `parse` (the body against its pydantic model),
`admission` (limits), `endpoint` (start, watch, clean up), `replies` (new text as it comes), `chat`
or `completions` (the format), `sse` (JSON or an event stream).
"""

from glasschat.api.admission import AdmissionControl, ServerState
from glasschat.api.app import Api, ApiDispatcher
from glasschat.api.keys import Key, Keyring
from glasschat.api.options import ApiOptions
from glasschat.api.remote_stub import RemoteStub

__all__ = [
    "AdmissionControl",
    "Api",
    "ApiDispatcher",
    "ApiOptions",
    "Key",
    "Keyring",
    "RemoteStub",
    "ServerState",
]
