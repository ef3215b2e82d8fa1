"""The API's own door: request ids, keys, and errors that are always JSON."""

import logging
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from glasschat.api.errors import SERVER, ApiError, as_api_error
from glasschat.api.keys import Key
from glasschat.api.options import ApiOptions
from glasschat.api.request_log import RequestLogEntry
from glasschat.api.sse import send_error
from glasschat.errors import GlasschatError

log = logging.getLogger(__name__)

OPEN_PATHS = frozenset({"/health", "/ready", "/openapi.json"})
"""What needs no key: it tells nothing that a closed door would hide."""


class AuthMiddleware:
    """Stands before every path of the API."""

    def __init__(
        self, app: ASGIApp, options: ApiOptions, over: Callable[[RequestLogEntry], None]
    ) -> None:
        """`over` is told of every request when it is."""
        self._app = app
        self._options = options
        self._over = over

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or say why not."""
        headers = Headers(scope=scope)
        note = RequestLogEntry(scope["method"], scope["path"], headers.get("x-request-id"))
        scope["state"] = {**scope.get("state", {}), "note": note, "key": None}

        async def noted(message: Message) -> None:
            if message["type"] == "http.response.start":
                note.status = message["status"]
                own = [
                    (b"x-request-id", note.request_id.encode()),
                    (b"cache-control", b"no-store"),
                    (b"x-content-type-options", b"nosniff"),
                ]
                message = {**message, "headers": [*message["headers"], *own]}
            await send(message)

        try:
            if scope["path"] not in OPEN_PATHS:
                scope["state"]["key"] = key = self._key(headers)
                note.key = key.name if key else None
            await self._app(scope, receive, noted)
        except ClientDisconnect:
            pass
        except Exception as error:
            if note.status is not None:
                raise
            await send_error(noted, _told(error, note.request_id), note.request_id)
        finally:
            note.write(self._options)
            self._over(note)

    def _key(self, headers: Headers) -> Key | None:
        """Whose request that is. Raises ApiError."""
        keys = self._options.keys
        if not keys:
            if self._options.open:
                return None
            raise _unknown(
                "the API of this server is closed: whoever runs it can open it with --api-key-file"
            )
        scheme, _, secret = headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not secret:
            raise _unknown("give your API key in the header Authorization: Bearer KEY")
        key = keys.find(secret.strip())
        if key is None:
            raise _unknown("that API key is not known here")
        return key


def _unknown(message: str) -> ApiError:
    return ApiError(401, message, code="invalid_api_key", headers=(("www-authenticate", "Bearer"),))


def _told(error: Exception, request_id: str) -> ApiError:
    if isinstance(error, ApiError):
        told = error
    elif isinstance(error, GlasschatError):
        told = as_api_error(error)
    else:
        log.error("request %s failed", request_id, exc_info=error)
        return ApiError(500, "internal error", SERVER, code="internal_error")
    if told.status == 500:
        log.error("request %s: %s", request_id, told.message)
    return told
