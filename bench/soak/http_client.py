"""HTTP client whose connections can be dropped anywhere, which no library does as abruptly."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
_CHUNK = 4096


class ConnectionBroken(Exception):
    """The connection ended before the response did."""


@dataclass(frozen=True, slots=True)
class Response:
    """Complete response. `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """Return the JSON body as an object."""
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """Return the data of every event of a stream, in order."""
        lines = self.body.decode().split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def request(path: str, body: Any = None) -> bytes:
    """Return a GET, or a POST of `body` as JSON, with `Connection: close`."""
    data = b"" if body is None else json.dumps(body).encode()
    head = [
        f"{'GET' if body is None else 'POST'} {path} HTTP/1.1",
        f"Host: {HOST}",
        "Connection: close",
    ]
    if body is not None:
        head += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + data


@dataclass(slots=True)
class Exchange:
    """Connection with one request on its way."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    data: bytes = b""

    async def read_some(self) -> bool:
        """Read a little more of the response; return False at its end."""
        part = await self.reader.read(_CHUNK)
        self.data += part
        return bool(part)

    async def answer(self) -> Response:
        """Read the whole response. Raises ConnectionBroken."""
        while await self.read_some():
            pass
        return parse_response(self.data)

    def leave(self) -> None:
        """Drop the connection with a reset."""
        self.writer.transport.abort()


@contextmanager
def closing(exchange: Exchange) -> Iterator[Exchange]:
    """Close the connection at the end."""
    try:
        yield exchange
    finally:
        exchange.writer.close()


async def open_exchange(port: int, data: bytes) -> Exchange:
    """Connect and send `data`; return the connection. Raises OSError."""
    # A small buffer: who dawdles is felt by the server, not only by its kernel.
    reader, writer = await asyncio.open_connection(HOST, port, limit=_CHUNK)
    writer.write(data)
    await writer.drain()
    return Exchange(reader, writer)


async def fetch(port: int, path: str, body: Any = None) -> Response:
    """Send a request and read the whole response. Raises ConnectionBroken, OSError."""
    with closing(await open_exchange(port, request(path, body))) as exchange:
        return await exchange.answer()


def parse_response(data: bytes) -> Response:
    """Parse what a server sent before it closed the connection. Raises ConnectionBroken."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise ConnectionBroken(f"the answer ended after {len(data)} bytes, in its head")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    elif len(body) != int(headers.get("content-length", len(body))):
        raise ConnectionBroken(f"{len(body)} of {headers['content-length']} bytes came")
    return Response(int(first.split(" ")[1]), headers, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    while True:
        size, separator, body = body.partition(b"\r\n")
        length = int(size, 16) if separator else -1
        if length < 0 or len(body) < length + 2:
            raise ConnectionBroken("the stream ended before its last chunk")
        if length == 0:
            return
        yield body[:length]
        body = body[length + 2 :]
