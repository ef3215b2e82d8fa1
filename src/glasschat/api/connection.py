"""A client's connection: how long it may take over what the server waits for, and how many are."""

import asyncio
import json
import resource
import socket
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from glasschat.api.errors import SERVER, ApiError

HEAD_WITHIN_S = 30.0
UNREAD_S = 60.0
MOST_OPEN = 1000

# Files that are open beside connections: models, the store, logs.
_OTHER_FILES = 256
_REFUSED_S = 1.0

# What the kernel holds of an answer beyond what is on its way: megabytes otherwise, behind which
# nobody sees for minutes whether a client takes in anything.
_UNSENT_BYTES = 2**16
_UNSENT_OPTION: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def make_room() -> None:
    """Let the process have as many files open as connections may come, if the system lets it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_OPEN + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        wanted = min(wanted, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _one_too_many() -> bytes:
    error = ApiError(
        503,
        f"{MOST_OPEN} connections are open and no more may be: try again in a moment",
        SERVER,
        code="too_many_connections",
    )
    body = json.dumps(error.body()).encode()
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%b"
    ) % (len(body), body)


class _Deadline:
    """Something that happens unless it is called off in time."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def set(self, seconds: float, then: Callable[[], None]) -> None:
        """Call `then` so many seconds from now; one that is set already stays as it is."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(seconds, then)

    def call_off(self) -> None:
        """Nothing happens."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Connection(H11Protocol):
    """uvicorn's own, which would wait for ever, and keep its place among the open files so long.

    Left is who has not said a whole head within HEAD_WITHIN_S, or goes on that long with a body
    that nobody wants any more; and who takes in nothing of an answer for UNREAD_S. How long a
    body may take is for whoever reads it to say. Beyond MOST_OPEN, pages among them, one is told
    so and not listened to.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._head = _Deadline()
        self._unread = _Deadline()
        self._refused = len(self.connections) > MOST_OPEN
        self._head.set(_REFUSED_S if self._refused else HEAD_WITHIN_S, transport.abort)
        if self._refused:
            transport.write(_one_too_many())
            transport.write_eof()
            return
        if _UNSENT_OPTION is not None:
            own = transport.get_extra_info("socket")
            own.setsockopt(socket.IPPROTO_TCP, _UNSENT_OPTION, _UNSENT_BYTES)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self._refused:
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
            # From the first byte: another one now and then buys no time.
            self._head.set(HEAD_WITHIN_S, self.transport.abort)
        else:
            self._head.call_off()

    def pause_writing(self) -> None:
        """See asyncio.Protocol."""
        super().pause_writing()
        self._watch_unread()

    def resume_writing(self) -> None:
        """See asyncio.Protocol."""
        super().resume_writing()
        self._unread.call_off()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._head.call_off()
        self._unread.call_off()
        super().connection_lost(exc)

    def _watch_unread(self) -> None:
        before = self.transport.get_write_buffer_size()

        def check() -> None:
            if self.transport.get_write_buffer_size() == before:
                self.transport.abort()
            else:
                # Slowly is not nothing.
                self._unread.call_off()
                self._watch_unread()

        self._unread.set(UNREAD_S, check)
