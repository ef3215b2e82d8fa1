"""Runs an ASGI app on a port, and lets requests finish before the process ends."""

import asyncio
import logging
import socket
import sys
from collections.abc import Callable
from types import FrameType

import uvicorn
from starlette.types import ASGIApp

from glasschat.api.app import Api
from glasschat.api.connection import Connection, raise_open_file_limit
from glasschat.api.remote_stub import RemoteStub
from glasschat.errors import ServerError

# How long uvicorn waits for connections after the drain. No request runs any more by then.
CLOSE_TIMEOUT_S = 3
REQUEST_LOG = "glasschat.requests"


def check_port_free(host: str, port: int) -> None:
    """Check that this process can listen on `host` and `port`. Raises ServerError if not."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind((host, port))
    except OSError as error:
        reason = error.strerror or str(error)
        raise ServerError(
            "cannot listen on {host} port {port} ({reason}): choose another with --port or --host",
            host=host,
            port=port,
            reason=reason.lower(),
        ) from None


def run_server(
    app: ASGIApp,
    api: Api | RemoteStub,
    *,
    host: str,
    port: int,
    on_drained: Callable[[], None] | None = None,
) -> None:
    """Serve `app` until the process gets a signal, then drain `api`, then stop.

    `api` is the part of `app` that knows of running requests. `on_drained` is called when no
    request is left, before connections are closed.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    _configure_request_log()
    raise_open_file_limit()
    # Other threads share the interpreter with the engine's: they have to hand over quickly, or
    # every token waits.
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
        timeout_graceful_shutdown=CLOSE_TIMEOUT_S,
        ws_max_size=16 * 2**20,
    )
    _DrainingServer(config, api, on_drained or (lambda: None)).run()


class _DrainingServer(uvicorn.Server):
    """uvicorn's server with a drain: the first signal starts it, the second one ends at once.

    During the drain the port stays open, so that new requests get 503 instead of no connection.
    """

    def __init__(
        self, config: uvicorn.Config, api: Api | RemoteStub, on_drained: Callable[[], None]
    ) -> None:
        super().__init__(config)
        self._api = api
        self._on_drained = on_drained
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drain_task: asyncio.Task[None] | None = None

    async def serve(self, sockets: list[socket.socket] | None = None) -> None:
        """Serve until the exit; overrides uvicorn.Server.serve to remember the event loop."""
        self._loop = asyncio.get_running_loop()
        await super().serve(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle a signal; overrides uvicorn.Server.handle_exit."""
        if self._loop is None or self._api.state.draining:
            self._exit(sig, frame)
            return
        # Set here and not in the loop: a second signal may arrive before the loop runs.
        self._api.state.draining = True
        self._loop.call_soon_threadsafe(self._start_drain, sig, frame)

    def _start_drain(self, sig: int, frame: FrameType | None) -> None:
        async def drain() -> None:
            try:
                await self._api.drain()
            finally:
                self._exit(sig, frame)

        self._drain_task = asyncio.ensure_future(drain())

    def _exit(self, sig: int, frame: FrameType | None) -> None:
        self._on_drained()
        super().handle_exit(sig, frame)


def _configure_request_log() -> None:
    """Write request log entries to standard error as plain lines, without a prefix."""
    log = logging.getLogger(REQUEST_LOG)
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
        log.propagate = False
