"""OpenAI's wire format over a backend: what programs talk to.

One request in a straight line: `guard` (id, key), `parse` (the body against its model), `endpoint`
(admitted, started, watched), `replies` (pieces as they come), `chat` or `completions` (their form),
`wire` (JSON or events). `desk` is what all requests share.
"""

from glasschat.api.admission import AdmissionControl, ServerState
from glasschat.api.app import Api, BesidePages
from glasschat.api.keys import Key, Keyring
from glasschat.api.options import ApiOptions
from glasschat.api.remote_stub import RemoteState, RemoteStub

__all__ = [
    "AdmissionControl",
    "Api",
    "ApiOptions",
    "BesidePages",
    "Key",
    "Keyring",
    "RemoteState",
    "RemoteStub",
    "ServerState",
]
