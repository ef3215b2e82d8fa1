"""The API as an ASGI app: its routes, alone on a port or in front of the pages' app."""

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.types import ASGIApp, Receive, Scope, Send

from glasschat.api.admission import AdmissionControl
from glasschat.api.auth import AuthMiddleware
from glasschat.api.chat import ChatFormat, ChatRequest
from glasschat.api.completions import CompletionFormat, CompletionRequest
from glasschat.api.endpoint import ReplyEndpoint
from glasschat.api.errors import ApiError
from glasschat.api.hosts import HostCheck, allowed_host_names
from glasschat.api.info import MODELS_PATH, InfoEndpoints, unknown_path
from glasschat.api.metrics import CONTENT_TYPE, Metrics
from glasschat.api.openapi import openapi_document
from glasschat.api.remote_stub import RemoteStub
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.sse import send_bytes, send_json
from glasschat.api.tokenizing import TokenizeEndpoints
from glasschat.config import WebOptions

Handler = Callable[[Scope, Receive, Send], Awaitable[None]]


class Api:
    """ASGI app that answers every path of the API. It has no port and no lifespan of its own."""

    def __init__(self, admission: AdmissionControl) -> None:
        self.backend = admission.backend
        self.state = admission.state
        self._admission = admission
        info, tokenizing = InfoEndpoints(admission.state), TokenizeEndpoints(admission)
        self._document = openapi_document()
        self._metrics = Metrics(admission.backend)
        chat = ReplyEndpoint(admission, ChatRequest, ChatFormat)
        completions = ReplyEndpoint(admission, CompletionRequest, CompletionFormat)
        self._handlers: dict[str, dict[str, Handler]] = {
            MODELS_PATH: {"GET": info.models},
            "/v1/chat/completions": {"POST": chat},
            "/v1/completions": {"POST": completions},
            "/tokenize": {"POST": tokenizing.tokenize},
            "/detokenize": {"POST": tokenizing.detokenize},
            "/health": {"GET": info.health},
            "/ready": {"GET": info.ready},
            "/metrics": {"GET": self._send_metrics},
            "/openapi.json": {"GET": self._send_document},
        }
        self._model_handlers: dict[str, Handler] = {"GET": info.model}
        options = admission.options
        app: ASGIApp = AuthMiddleware(self._dispatch, options, self._count_request)
        if options.cors_origins:
            app = CORSMiddleware(
                app,
                allow_origins=options.cors_origins,
                allow_methods=["GET", "POST"],
                allow_headers=["authorization", "content-type", "x-request-id"],
                expose_headers=["x-request-id", "retry-after"],
            )
        self._app = app

    def handles(self, path: str) -> bool:
        """Return whether `path` belongs to the API, also where it answers 404."""
        return path in self._handlers or path == "/v1" or path.startswith("/v1/")

    async def drain(self) -> None:
        """Refuse new requests, and wait until the running ones end."""
        await self._admission.drain()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one HTTP request, and close any WebSocket."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        await self._app(scope, receive, send)

    async def _dispatch(self, scope: Scope, receive: Receive, send: Send) -> None:
        path, method = scope["path"], scope["method"]
        handlers: Mapping[str, Handler] | None = self._handlers.get(path)
        if handlers is None and path.startswith(f"{MODELS_PATH}/"):
            handlers = self._model_handlers
        if handlers is None:
            raise unknown_path(path)
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

    def _count_request(self, entry: RequestLogEntry) -> None:
        # A label for each unknown path would let any client grow the metrics.
        path = entry.path if entry.path in self._handlers else "other"
        self._metrics.count_request(path, entry.status)

    async def _send_metrics(self, scope: Scope, receive: Receive, send: Send) -> None:
        content_type = (b"content-type", CONTENT_TYPE.encode())
        await send_bytes(send, self._metrics.render(), 200, [content_type])

    async def _send_document(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send_json(send, self._document)


class ApiDispatcher:
    """ASGI middleware that sends the API's paths to the API and all others to the pages' app."""

    def __init__(self, app: ASGIApp, api: Api | RemoteStub) -> None:
        self._app = app
        self._api = api

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request to the app that handles its path."""
        for_api = scope["type"] == "http" and self._api.handles(scope["path"])
        await (self._api if for_api else self._app)(scope, receive, send)


def build_api_app(api: Api, options: WebOptions) -> Starlette:
    """Build the ASGI app of a server without pages.

    The app starts to load the model when the server starts, and closes the backend at its end.
    """
    backend = api.backend

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        backend.load_in_background()
        try:
            yield
        finally:
            backend.close()

    host_check = Middleware(
        HostCheck, allowed_host_names(options), allow_addresses=not options.is_loopback
    )
    app = Starlette(lifespan=lifespan, middleware=[host_check])
    app.router.default = api
    return app
