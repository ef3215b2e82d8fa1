"""The process around an app: its port, and an end that lets requests finish."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from glasschat.api.admission import ServerState
from glasschat.api.connection import Connection, make_room
from glasschat.errors import ServerError

# What is left of connections after draining: they only have to be told.
GRACE_S = 3
REQUEST_LOG = "glasschat.requests"


def check_free(host: str, port: int) -> None:
    """Raise ServerError where this server cannot listen."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServerError(
            f"cannot listen on {host} port {port} ({reason.lower()}): "
            "choose another with --port or --host"
        ) from None


def run(
    app: ASGIApp,
    desk: ServerState,
    *,
    host: str,
    port: int,
    ending: Callable[[], None] | None = None,
) -> None:
    """Serve until the process is told to end, and then until the desk is drained.

    `ending` is called when no request is left, before connections are closed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _show_requests()
    make_room()
    # Whatever runs beside the engine's thread shares the interpreter with it: hand over quickly,
    # or every token waits.
    sys.setswitchinterval(0.0005)
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=Connection,
        log_config=None,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=GRACE_S,
        ws_max_size=16 * 2**20,
    )
    _DrainingServer(config, desk, ending or (lambda: None)).run()


class _DrainingServer(uvicorn.Server):
    """The first signal drains, and the port stays open to say so; the second ends it at once."""

    def __init__(
        self, config: uvicorn.Config, desk: ServerState, ending: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._desk = desk
        self._ending = ending
        self._loop: asyncio.AbstractEventLoop | None = None
        self._draining: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn.Server.serve."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """A signal has come."""
        if self._loop is None or self._desk.draining:
            self._end(sig, frame)
            return
        # From now on, not when the loop comes to it: a second signal may be on its way.
        self._desk.draining = True
        self._loop.call_soon_threadsafe(self._drain, sig, frame)

    def _drain(self, sig: int, frame: FrameType | None) -> None:
        async def drained() -> None:
            try:
                await self._desk.drain()
            finally:
                self._end(sig, frame)

        self._draining = asyncio.ensure_future(drained())

    def _end(self, sig: int, frame: FrameType | None) -> None:
        self._ending()
        super().handle_exit(sig, frame)


def _show_requests() -> None:
    """Lines of JSON as they are, with nothing around them."""
    log = logging.getLogger(REQUEST_LOG)
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
