"""Helpers of all access middleware: checks of requests, and sockets that end with a session."""

from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

HEALTH = "/_stcore/health"
LOGOUT = "/auth/logout"


def is_https(connection: HTTPConnection) -> bool:
    """Tell whether the browser uses https, as far as the server or a trusted proxy says."""
    return connection.scope["scheme"] in ("https", "wss")


def accepts_html(connection: HTTPConnection) -> bool:
    """Tell whether a page is asked for; for parts of a page a status code is answer enough."""
    return "text/html" in connection.headers.get("accept", "")


def is_same_origin(connection: HTTPConnection) -> bool:
    """Tell whether a request comes from a page of ours, or from no page at all."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    # Only https and loopback get the header above.
    origin = connection.headers.get("origin")
    return origin is None or origin.partition("://")[2] == connection.headers.get("host")


def local_url(scope: Scope) -> str:
    """Return the requested path and query as an address that can only lead to this server.

    `//evil.example` is a path in a request, and another server in a Location header.
    """
    path = "/" + quote(scope["path"].lstrip("/"))
    query = quote(scope["query_string"].decode("latin-1"), safe="=&%+:,;@!$'()*/?")
    return f"{path}?{query}" if query else path


async def reject(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request for part of a page with 401, or close a socket with 1008."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await PlainTextResponse("Sign in first.", 401)(scope, receive, send)


class SessionSocket:
    """`receive` and `send` of a socket, which close at the first message after its session."""

    def __init__(self, receive: Receive, send: Send, ended: Callable[[], bool]) -> None:
        self._receive, self._send, self._ended = receive, send, ended
        self._closed = False

    async def receive(self) -> Message:
        """Return the browser's next message; a disconnect once the session has ended."""
        message = await self._receive()
        if message["type"] == "websocket.receive" and await self._close_if_ended():
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def send(self, message: Message) -> None:
        """Send a message. Raises OSError after the session, as for a browser that has left."""
        if await self._close_if_ended():
            raise OSError("the session has ended")
        await self._send(message)

    async def _close_if_ended(self) -> bool:
        if not self._closed and self._ended():
            self._closed = True
            await self._send({"type": "websocket.close", "code": 1008})
        return self._closed


def with_secure_cookies(send: Send) -> Send:
    """Return a `send` that marks every cookie of a response as one for https only."""

    async def send_secure(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            cookies = headers.getlist("set-cookie")
            del headers["set-cookie"]
            for cookie in cookies:
                safe = "; secure" in cookie.lower()
                headers.append("set-cookie", cookie if safe else f"{cookie}; Secure")
        await send(message)

    return send_secure
