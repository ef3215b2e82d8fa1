"""What doors have in common: requests looked at, and sockets that end with their session."""

from collections.abc import Callable
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send

HEALTH = "/_stcore/health"
LOGOUT = "/auth/logout"


def is_https(connection: HTTPConnection) -> bool:
    """Whether the browser came by https, as far as the server or a trusted proxy says."""
    return connection.scope["scheme"] in ("https", "wss")


def wants_page(connection: HTTPConnection) -> bool:
    """Whether somebody looks at the answer; for parts of a page a status will do."""
    return "text/html" in connection.headers.get("accept", "")


def comes_from_here(connection: HTTPConnection) -> bool:
    """Whether a request comes from a page of ours, or from no page at all."""
    site = connection.headers.get("sec-fetch-site")
    if site is not None:
        return site in ("same-origin", "none")
    # Only https and loopback get the header above.
    origin = connection.headers.get("origin")
    return origin is None or origin.partition("://")[2] == connection.headers.get("host")


def address_of(scope: Scope) -> str:
    """The address that was asked for, as one that can only lead to this very server.

    `//elsewhere` is a path here, and another server in a Location.
    """
    path = "/" + quote(scope["path"].lstrip("/"))
    query = quote(scope["query_string"].decode("latin-1"), safe="=&%+:,;@!$'()*/?")
    return f"{path}?{query}" if query else path


async def turn_away(scope: Scope, receive: Receive, send: Send) -> None:
    """Refuse a request for part of a page, or a socket."""
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    await PlainTextResponse("Sign in first.", 401)(scope, receive, send)


class SessionSocket:
    """A socket's two ends, which close as soon as anything is said after the session's end."""

    def __init__(self, receive: Receive, send: Send, ended: Callable[[], bool]) -> None:
        self._receive, self._send, self._ended = receive, send, ended
        self._closed = False

    async def receive(self) -> Message:
        """What the browser says; that it has left, once the session is over."""
        message = await self._receive()
        if message["type"] == "websocket.receive" and await self._over():
            return {"type": "websocket.disconnect", "code": 1008}
        return message

    async def send(self, message: Message) -> None:
        """Say it to the browser. Raises OSError, as for one that has left, after the end."""
        if await self._over():
            raise OSError("the session has ended")
        await self._send(message)

    async def _over(self) -> bool:
        if not self._closed and self._ended():
            self._closed = True
            await self._send({"type": "websocket.close", "code": 1008})
        return self._closed


def secured(send: Send) -> Send:
    """Marks every cookie as one for https only."""

    async def with_secure_cookies(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            cookies = headers.getlist("set-cookie")
            del headers["set-cookie"]
            for cookie in cookies:
                safe = "; secure" in cookie.lower()
                headers.append("set-cookie", cookie if safe else f"{cookie}; Secure")
        await send(message)

    return with_secure_cookies
