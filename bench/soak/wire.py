"""HTTP by hand, on a connection that can be left anywhere: no library lets go as rudely."""

import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"
_CHUNK = 4096


class BrokenOff(Exception):
    """The connection ended before the answer did."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole one. `headers` have lower-case names."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body as an object."""
        return json.loads(self.body)

    @property
    def events(self) -> list[str]:
        """The data of every event of a stream, in order."""
        lines = self.body.decode().split("\n")
        return [line.removeprefix("data: ") for line in lines if line.startswith("data: ")]


def request(path: str, body: Any = None) -> bytes:
    """A GET, or a POST of `body` as JSON, after which the connection is to be closed."""
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
    """One request on its way."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    data: bytes = b""

    async def read_some(self) -> bool:
        """A little more of the answer; False at its end."""
        part = await self.reader.read(_CHUNK)
        self.data += part
        return bool(part)

    async def answer(self) -> Answer:
        """All of it. Raises BrokenOff."""
        while await self.read_some():
            pass
        return parsed(self.data)

    def leave(self) -> None:
        """Without a word: the other side meets a reset."""
        self.writer.transport.abort()


@contextmanager
def closing(exchange: Exchange) -> Iterator[Exchange]:
    """Close the connection at the end."""
    try:
        yield exchange
    finally:
        exchange.writer.close()


async def sent(port: int, data: bytes) -> Exchange:
    """A connection with `data` on its way to the server. Raises OSError."""
    # A small buffer: who dawdles is felt by the server, not only by its kernel.
    reader, writer = await asyncio.open_connection(HOST, port, limit=_CHUNK)
    writer.write(data)
    await writer.drain()
    return Exchange(reader, writer)


async def asked(port: int, path: str, body: Any = None) -> Answer:
    """Ask and read the whole answer. Raises BrokenOff, OSError."""
    with closing(await sent(port, request(path, body))) as exchange:
        return await exchange.answer()


def parsed(data: bytes) -> Answer:
    """What a server said before it closed the connection. Raises BrokenOff."""
    head, separator, body = data.partition(b"\r\n\r\n")
    if not separator:
        raise BrokenOff(f"the answer ended after {len(data)} bytes, in its head")
    first, *rest = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (h.partition(":") for h in rest)}
    if headers.get("transfer-encoding") == "chunked":
        body = b"".join(_chunks(body))
    elif len(body) != int(headers.get("content-length", len(body))):
        raise BrokenOff(f"{len(body)} of {headers['content-length']} bytes came")
    return Answer(int(first.split(" ")[1]), headers, body)


def _chunks(body: bytes) -> Iterator[bytes]:
    while True:
        size, separator, body = body.partition(b"\r\n")
        length = int(size, 16) if separator else -1
        if length < 0 or len(body) < length + 2:
            raise BrokenOff("the stream ended before its last chunk")
        if length == 0:
            return
        yield body[:length]
        body = body[length + 2 :]
