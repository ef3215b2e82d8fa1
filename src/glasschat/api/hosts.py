"""Check of the Host header against DNS rebinding.

A web page on another site can point its own name at this server's address, so that a visitor's
browser talks to this server in the page's name. Such requests carry the other name as their host.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from glasschat.config import LOOPBACK_HOSTS, WebOptions


def allowed_host_names(options: WebOptions) -> frozenset[str]:
    """Return the host names that requests may carry.

    These are the loopback names and `--allowed-host`; on another address than loopback also that
    address and the machine's own name, plain and under `.local`.
    """
    names = {*LOOPBACK_HOSTS, *options.allowed_hosts}
    if not options.is_loopback:
        machine = socket.gethostname().lower().rstrip(".")
        names |= {options.host, machine, f"{machine.partition('.')[0]}.local"}
    return frozenset(names)


class HostCheck:
    """ASGI middleware that answers 400 to a request whose host is not among `names`.

    A WebSocket under another name is closed. With `allow_addresses`, any IP address is allowed
    too: nobody can point an address somewhere else.
    """

    def __init__(
        self, app: ASGIApp, names: Iterable[str], *, allow_addresses: bool = False
    ) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._allow_addresses = allow_addresses

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass one request on if its host is allowed."""
        if scope["type"] in ("http", "websocket"):
            host = _host_name(Headers(scope=scope).get("host", ""))
            if host not in self._names and not (self._allow_addresses and _is_address(host)):
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close"})
                    return
                response = PlainTextResponse(
                    "This server does not go by that name. Whoever runs it can add the name with "
                    "--allowed-host, and a proxy in front has to pass the Host header on.\n",
                    400,
                )
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)


# A name, an IPv4 address or `[::1]`, with or without a port.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\],]+?)\.?)(?::[0-9]+)?")


def _host_name(header: str) -> str:
    """Return the host of a Host header without port: `::1` for `[::1]:8501`, "" if malformed."""
    match = _HOST.fullmatch(header.lower())
    return (match[1] or match[2]) if match else ""


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
