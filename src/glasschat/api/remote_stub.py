"""What programs are told by pages whose replies another server writes: not to ask here."""

from dataclasses import replace

from starlette.types import Receive, Scope, Send

from glasschat.api.about import About
from glasschat.api.admission import ServerState
from glasschat.api.auth import AuthMiddleware
from glasschat.api.errors import ApiError
from glasschat.api.options import ApiOptions
from glasschat.backends import Description

_OTHERS = ("/tokenize", "/detokenize", "/metrics", "/openapi.json")


class RemoteState(ServerState):
    """Stands before a server that only its owner needs to know by its address."""

    def described(self) -> Description:
        """See Presence.described."""
        description = super().described()
        if description.error is None:
            return description
        return replace(description, error="the server that writes the replies cannot be asked now")


class RemoteStub:
    """/health and /ready, for whoever watches over this server; every other path of the API is
    said to be that server's.
    """

    def __init__(self, presence: RemoteState) -> None:
        about = About(presence)
        self._handlers = {"/health": about.health, "/ready": about.ready}
        self._app = AuthMiddleware(self._dispatch, ApiOptions(), lambda _: None)

    def owns(self, path: str) -> bool:
        """Whether `path` would be the API's."""
        return path in self._handlers or path in _OTHERS or path == "/v1" or path.startswith("/v1/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        await self._app(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        handler = self._handlers.get(scope["path"])
        if handler is None:
            raise ApiError(
                404,
                "another server writes the replies of this chat: programs ask that one",
                code="not_here",
            )
        if scope["method"] not in ("GET", "HEAD"):
            allowed = (("allow", "GET"),)
            raise ApiError(405, "this path takes GET", code="method_not_allowed", headers=allowed)
        await handler(scope, receive, send)
