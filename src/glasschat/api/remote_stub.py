"""The API of a server whose replies another server writes: health checks only."""

from starlette.types import Receive, Scope, Send

from glasschat.api.admission import ServerState
from glasschat.api.auth import AuthMiddleware
from glasschat.api.errors import ApiError
from glasschat.api.info import InfoEndpoints
from glasschat.api.options import ApiOptions
from glasschat.backends import Backend
from glasschat.messages import Message

_API_PATHS = ("/tokenize", "/detokenize", "/metrics", "/openapi.json")


class RemoteStub:
    """ASGI app that answers /health and /ready, and 404 on every other path of the API.

    The two are for whoever monitors this server. The 404 says that another server has the API.
    """

    def __init__(self, backend: Backend) -> None:
        self.state = ServerState(
            backend,
            public_error=Message("the server that writes the replies cannot be asked now"),
        )
        info = InfoEndpoints(self.state)
        self._handlers = {"/health": info.health, "/ready": info.ready}
        self._app = AuthMiddleware(self._dispatch, ApiOptions(), lambda _: None)

    def handles(self, path: str) -> bool:
        """Return whether `path` belongs to the API, also where this stub answers 404."""
        return (
            path in self._handlers or path in _API_PATHS or path == "/v1" or path.startswith("/v1/")
        )

    async def drain(self) -> None:
        """Report from now on that the server is not ready; there are no requests to wait for."""
        self.state.draining = True

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request for a path of the API."""
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
