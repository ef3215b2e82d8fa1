"""Refuses what other websites have a visitor's browser ask of this server.

A browser sends cookies along with every web socket and request that a page opens, also a page of
another port on the same machine. The `Origin` header says whose page it is. Streamlit checks it for
its socket only, by the host name without the port, and before it refuses an unknown host it asks an
outside address what this machine is called, in the event loop. This check comes before Streamlit's.
"""

from collections.abc import Iterable
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

_DEFAULT_PORTS = {"http": 80, "https": 443}


class OriginCheck:
    """ASGI middleware that lets an `Origin` pass only if it is this server's own.

    Own means: the scheme, host and port under which the request came, or one of `named_hosts`
    (`--allowed-host`), by http or https, on the default port or on the port of the request. A
    request without the header comes from no web page, or from a page of ours. Anything else gets
    status 403, and a web socket is closed before it opens.
    """

    def __init__(self, app: ASGIApp, named_hosts: Iterable[str] = ()) -> None:
        self._app = app
        self._named = frozenset(host.lower() for host in named_hosts)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        origin = headers.get("origin")
        if origin is not None:
            host = headers.get("host", "")
            if not self._is_own(origin, scope["scheme"], host):
                await _refuse(scope, receive, send)
                return
            scope = _with_host(scope, urlsplit(origin).netloc, host)
        await self._app(scope, receive, send)

    def _is_own(self, origin: str, scheme: str, host: str) -> bool:
        scheme = {"ws": "http", "wss": "https"}.get(scheme, scheme)
        asked, came = _parts(origin), _parts(f"{scheme}://{host}")
        if asked is None or came is None:
            return False
        if asked == came:
            return True
        _, name, port = asked
        # A proxy may end https without saying so, and may put its own name into Host.
        default = _DEFAULT_PORTS[asked[0]]
        return name in self._named and port in (default, came[2])


def _parts(origin: str) -> tuple[str, str, int] | None:
    """Return scheme, host in lower case, and port; None for what is no web origin."""
    try:
        found = urlsplit(origin)
        port = found.port
    except ValueError:
        return None
    if found.scheme not in _DEFAULT_PORTS or not found.hostname or found.username is not None:
        return None
    if found.path or found.query or found.fragment:
        return None
    return found.scheme, found.hostname.rstrip("."), port or _DEFAULT_PORTS[found.scheme]


def _with_host(scope: Scope, netloc: str, host: str) -> Scope:
    """Return the scope with `netloc` as its Host, letter by letter, as Streamlit compares them."""
    if netloc == host:
        return scope
    scope = {**scope, "headers": list(scope["headers"])}
    MutableHeaders(scope=scope)["host"] = netloc
    return scope


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})
        return
    answer = PlainTextResponse(
        "This request comes from a page of another address. Open the chat itself; whoever runs it "
        "can add a name with --allowed-host, and a proxy in front has to pass Host and "
        "X-Forwarded-Proto on.\n",
        403,
    )
    await answer(scope, receive, send)
