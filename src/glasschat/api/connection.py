"""HTTP connections with limits: time for a request's head, for reading an answer, and a number."""

import asyncio
import json
import resource
import socket
from collections.abc import Callable

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from glasschat.api.errors import SERVER, ApiError

HEAD_TIMEOUT_S = 30.0
READ_TIMEOUT_S = 60.0
MAX_CONNECTIONS = 1000

# Open files besides connections: models, the store, logs.
_OTHER_FILES = 256
_REFUSED_TIMEOUT_S = 1.0

# Bytes of an answer that the kernel buffers before it sends them. Its default is megabytes, behind
# which it takes minutes to see that a client reads nothing.
_SEND_BUFFER_BYTES = 2**16
_SEND_BUFFER_OPTION: int | None = getattr(socket, "TCP_NOTSENT_LOWAT", None)


def raise_open_file_limit() -> None:
    """Raise the process's limit of open files to fit MAX_CONNECTIONS, if the system allows it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = MAX_CONNECTIONS + _OTHER_FILES
    if hard != resource.RLIM_INFINITY:
        limit = min(limit, hard)
    if soft != resource.RLIM_INFINITY and soft < limit:
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))


def _too_many_connections() -> bytes:
    error = ApiError(
        503,
        f"{MAX_CONNECTIONS} connections are open and no more may be: try again in a moment",
        SERVER,
        code="too_many_connections",
    )
    body = json.dumps(error.body()).encode()
    return (
        b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\nRetry-After: 1\r\nConnection: close\r\n\r\n%b"
    ) % (len(body), body)


class _Deadline:
    """Timer that calls a function unless it is cancelled in time."""

    def __init__(self) -> None:
        self._handle: asyncio.TimerHandle | None = None

    def start(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call `callback` in so many seconds. A timer that already runs stays as it is."""
        if self._handle is None:
            self._handle = asyncio.get_running_loop().call_later(seconds, callback)

    def cancel(self) -> None:
        """Stop the timer, if it runs."""
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None


class Connection(H11Protocol):
    """uvicorn's HTTP/1.1 connection with time limits, which uvicorn does not have.

    Without them a slow client keeps its place among the open files for ever. A connection is cut
    when the head of a request is not complete within HEAD_TIMEOUT_S, when a client goes on that
    long with a body that nobody reads any more, and when it reads nothing of an answer for
    READ_TIMEOUT_S. The time for a body is up to whoever reads it. Beyond MAX_CONNECTIONS (those of
    pages among them) a connection gets 503 and is closed.
    """

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Start the timers, or refuse the connection; overrides asyncio's connection_made."""
        super().connection_made(transport)
        self._head = _Deadline()
        self._reading = _Deadline()
        self._refused = len(self.connections) > MAX_CONNECTIONS
        self._head.start(_REFUSED_TIMEOUT_S if self._refused else HEAD_TIMEOUT_S, transport.abort)
        if self._refused:
            transport.write(_too_many_connections())
            transport.write_eof()
            return
        if _SEND_BUFFER_OPTION is not None:
            connection = transport.get_extra_info("socket")
            connection.setsockopt(socket.IPPROTO_TCP, _SEND_BUFFER_OPTION, _SEND_BUFFER_BYTES)

    def data_received(self, data: bytes) -> None:
        """Parse bytes of a request; overrides asyncio's data_received."""
        if self._refused:
            return
        super().data_received(data)
        if self.conn.their_state is h11.IDLE or self.conn.our_state is h11.DONE:
            # The time runs from the first byte: more bytes now and then do not extend it.
            self._head.start(HEAD_TIMEOUT_S, self.transport.abort)
        else:
            self._head.cancel()

    def pause_writing(self) -> None:
        """Start to watch whether the client reads; overrides asyncio's pause_writing."""
        super().pause_writing()
        self._watch_reading()

    def resume_writing(self) -> None:
        """Stop watching whether the client reads; overrides asyncio's resume_writing."""
        super().resume_writing()
        self._reading.cancel()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop the timers; overrides asyncio's connection_lost."""
        self._head.cancel()
        self._reading.cancel()
        super().connection_lost(exc)

    def _watch_reading(self) -> None:
        before = self.transport.get_write_buffer_size()

        def check() -> None:
            if self.transport.get_write_buffer_size() == before:
                self.transport.abort()
            else:
                # The client reads, however slowly: start the time anew.
                self._reading.cancel()
                self._watch_reading()

        self._reading.start(READ_TIMEOUT_S, check)
