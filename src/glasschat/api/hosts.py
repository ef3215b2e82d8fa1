"""The names that this server is called by: under any other, a page elsewhere has pointed its own
name here, to have a visitor's browser talk to us in its place.
"""

import ipaddress
import re
import socket
from collections.abc import Iterable

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from glasschat.config import LOOPBACK_HOSTS, WebOptions


def names_served(options: WebOptions) -> frozenset[str]:
    """What visitors may call this server: on a network, as this machine is called there too."""
    names = {*LOOPBACK_HOSTS, *options.allowed_hosts}
    if not options.is_loopback:
        own = socket.gethostname().lower().rstrip(".")
        names |= {options.host, own, f"{own.partition('.')[0]}.local"}
    return frozenset(names)


class HostCheck:
    """Answers 400 to a request under a name that is not among `names`, and opens no socket there.

    With `by_number`, any address in numbers will do: what is no name, nobody can point here.
    """

    def __init__(self, app: ASGIApp, names: Iterable[str], *, by_number: bool = False) -> None:
        self._app = app
        self._names = frozenset(name.lower() for name in names)
        self._by_number = by_number

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on what comes under a name of ours."""
        if scope["type"] in ("http", "websocket"):
            host = _name_in(Headers(scope=scope).get("host", ""))
            if host not in self._names and not (self._by_number and _is_number(host)):
                if scope["type"] == "websocket":
                    await send({"type": "websocket.close"})
                    return
                refusal = PlainTextResponse(
                    "This server does not go by that name. Whoever runs it can add the name with "
                    "--allowed-host, and a proxy in front has to pass the Host header on.\n",
                    400,
                )
                await refusal(scope, receive, send)
                return
        await self._app(scope, receive, send)


# A name, a number or `[::1]`, then a port or none.
_HOST = re.compile(r"(?:\[([0-9a-f:.]+)\]|([^\s:@/\[\],]+?)\.?)(?::[0-9]+)?")


def _name_in(header: str) -> str:
    """The name without the port: of `[::1]:8501` it is `::1`; "" where there is none."""
    found = _HOST.fullmatch(header.lower())
    return (found[1] or found[2]) if found else ""


def _is_number(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True
