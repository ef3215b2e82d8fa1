"""The API as one ASGI app, and its place in front of the pages' app."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from glasschat.api.about import MODELS, About, refuse_path
from glasschat.api.admission import AdmissionControl
from glasschat.api.auth import AuthMiddleware
from glasschat.api.chat import ChatFormat
from glasschat.api.chat_request import ChatRequest
from glasschat.api.completion_request import CompletionRequest
from glasschat.api.completions import CompletionFormat
from glasschat.api.document import document
from glasschat.api.endpoint import ReplyEndpoint
from glasschat.api.errors import ApiError
from glasschat.api.hosts import HostCheck, names_served
from glasschat.api.metrics import CONTENT_TYPE, Metrics
from glasschat.api.remote_stub import RemoteStub
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.sse import send_bytes, send_json
from glasschat.api.tokenizing import Tokenizing
from glasschat.config import WebOptions

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Api:
    """Answers every request for a path of its own. It has no sockets, and no lifespan."""

    def __init__(self, desk: AdmissionControl) -> None:
        self.desk = desk
        about, tokenizing = About(desk), Tokenizing(desk)
        self._document = document()
        self._metrics = Metrics(desk.backend)
        self._handlers: dict[str, dict[str, Handler]] = {
            MODELS: {"GET": about.models},
            "/v1/chat/completions": {"POST": ReplyEndpoint(desk, ChatRequest, ChatFormat)},
            "/v1/completions": {"POST": ReplyEndpoint(desk, CompletionRequest, CompletionFormat)},
            "/tokenize": {"POST": tokenizing.tokenize},
            "/detokenize": {"POST": tokenizing.detokenize},
            "/health": {"GET": about.health},
            "/ready": {"GET": about.ready},
            "/metrics": {"GET": self._measure},
            "/openapi.json": {"GET": self._describe},
        }
        self._model = {"GET": about.model}
        app: ASGIApp = AuthMiddleware(self._dispatch, desk.options, self._over)
        if desk.options.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=desk.options.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type", "x-request-id"],
                expose_headers=["x-request-id", "retry-after"],
            )
        self._app = app

    def owns(self, path: str) -> bool:
        """Whether `path` is the API's, also where there is nothing under it."""
        return path in self._handlers or path == "/v1" or path.startswith("/v1/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        await self._app(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        handlers: Mapping[str, Handler] | None = self._handlers.get(path)
        if handlers is None and path.startswith(f"{MODELS}/"):
            handlers = self._model
        if handlers is None:
            raise refuse_path(path)
        handler = handlers.get("GET" if method == "HEAD" else method)
        if handler is None:
            allowed = ", ".join(handlers)
            raise ApiError(
                405,
                f"{path} takes {allowed}, not {method}",
                code="method_not_allowed",
                headers=(("allow", allowed),),
            )
        await handler(scope, receive, send)

    def _over(self, note: RequestLogEntry) -> None:
        known = note.path if note.path in self._handlers else "other"
        self._metrics.request(known, note.status)

    async def _measure(self, scope: Scope, receive: Receive, send: Send) -> None:
        kind = (b"content-type", CONTENT_TYPE.encode())
        await send_bytes(send, self._metrics.text(), 200, [kind])

    async def _describe(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, self._document)


class BesidePages:
    """Middleware: the API's paths to the API, everything else to the pages."""

    def __init__(self, app: ASGIApp, api: Api | RemoteStub) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""
        mine = scope["type"] == "http" and self._api.owns(scope["path"])
        await (self._api if mine else self._app)(scope, receive, send)


def api_alone(api: Api, where: WebOptions) -> Starlette:
    """The ASGI app. It starts to load the model when the server starts, and closes the backend."""
    backend = api.desk.backend

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        backend.load_in_background()
        try:
            yield
        finally:
            backend.close()

    by_number = not where.is_loopback
    names = Middleware(HostCheck, names_served(where), by_number=by_number)
    app = Starlette(lifespan=lifespan, middleware=[names])
    app.router.default = api
    return app
