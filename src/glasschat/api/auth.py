"""Authentication of API requests, and their errors as JSON."""

import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glasschat.api.errors import SERVER, ApiError, to_api_error
from glasschat.api.keys import Key
from glasschat.api.options import ApiOptions
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.sse import send_error
from glasschat.errors import GlasschatError

log = logging.getLogger(__name__)

PUBLIC_PATHS = frozenset({"/health", "/ready", "/openapi.json"})
"""Paths that need no key: they reveal nothing that a key protects."""


class AuthMiddleware:
    """ASGI middleware in front of every path of the API.

    It gives each request an id and a log entry, checks the key, and answers errors with JSON.
    """

    def __init__(
        self, app: ASGIApp, options: ApiOptions, on_end: Callable[[RequestLogEntry], None]
    ) -> None:
        """`on_end` is called with the log entry of every request when the request is over."""
        self._app = app
        self._options = options
        self._on_end = on_end

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on if its key is known; otherwise answer 401."""
        headers = Headers(scope=scope)
        entry = RequestLogEntry(scope["method"], scope["path"], headers.get("x-request-id"))
        scope["state"] = {**scope.get("state", {}), "log_entry": entry, "key": None}

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                entry.status = message["status"]
                added = [
                    (b"x-request-id", entry.request_id.encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
                message = {**message, "headers": [*message["headers"], *added]}
            await send(message)

        try:
            if scope["path"] not in PUBLIC_PATHS:
                scope["state"]["key"] = key = self._authenticate(headers)
                entry.key = key.name if key else None
            await self._app(scope, receive, send_with_headers)
        except ClientDisconnect:
            pass
        except Exception as error:
            if entry.status is not None:
                raise
            response = _error_response(error, entry.request_id)
            await send_error(send_with_headers, response, entry.request_id)
        finally:
            entry.write(self._options)
            self._on_end(entry)

    def _authenticate(self, headers: Headers) -> Key | None:
        """Return the key of a request, None where none is needed. Raises ApiError (401)."""
        keys = self._options.keys
        if not keys:
            if self._options.open:
                return None
            raise _unauthorized(
                "the API of this server is closed: whoever runs it can open it with --api-key-file"
            )
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise _unauthorized("give your API key in the header Authorization: Bearer KEY")
        key = keys.find(secret.strip())
        if key is None:
            raise _unauthorized("that API key is not known here")
        return key


def _unauthorized(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers=(("www-authenticate", "Bearer"),))


def _error_response(error: Exception, request_id: str) -> ApiError:
    if isinstance(error, ApiError):
        response = error
    elif isinstance(error, GlasschatError):
        response = to_api_error(error)
    else:
        log.error("request %s failed", request_id, exc_info=error)
        return ApiError(500, "internal error", SERVER, code="internal_error")
    if response.status == 500:
        log.error("request %s: %s", request_id, response.message)
    return response
