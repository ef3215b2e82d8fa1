"""A server of `glasschat serve` in a process of its own, and bytes sent to it as they are."""

import contextlib
import json
import re
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from tests.api.serving import CHAT, HELLO, TIMEOUT_S, wait_until
from tests.support.browser import free_port

# What uvicorn says of what is no HTTP: a line each, and nothing of ours.
_HARMLESS = re.compile(
    r"WARNING uvicorn\.error: (?:Invalid HTTP request received|Unsupported upgrade request)\."
)


@dataclass(frozen=True)
class Target:
    """A server, and what it has written to its log."""

    port: int
    client: httpx.Client
    log: Path

    @contextmanager
    def connected(self) -> Iterator[socket.socket]:
        """A connection that nothing was said on."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=TIMEOUT_S) as connection:
            yield connection

    def tell(self, data: bytes, *, half: bool = True) -> bytes:
        """All that comes back. With `half`, nothing more is said, and the server is told so."""
        with self.connected() as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(data)
                if half:
                    connection.shutdown(socket.SHUT_WR)
            return rest_of(connection)

    def busy(self) -> int:
        """How many replies run or wait."""
        text = self.client.get("/metrics").text
        found = re.findall(
            r"^vllm:num_requests_(?:running|waiting)\{.*\} (\d+)", text, re.MULTILINE
        )
        assert len(found) == 2, text
        return sum(map(int, found))

    def check(self) -> None:
        """It is as it was: nothing runs, all slots answer, and the log has nothing to tell."""
        wait_until(lambda: self.busy() == 0)
        answer = self.client.post(
            CHAT, json={"messages": HELLO, "max_tokens": 2, "n": 4}, timeout=5
        )
        assert answer.status_code == 200, answer.text
        lines = self.log.read_text(encoding="utf-8", errors="replace").splitlines()
        assert not [line for line in lines if not _HARMLESS.fullmatch(line)], "\n".join(lines)[
            -4000:
        ]


def rest_of(connection: socket.socket) -> bytes:
    """All that comes until the other side has closed."""
    data = b""
    with contextlib.suppress(ConnectionError):
        while part := connection.recv(65536):
            data += part
    return data


def request(
    body: bytes,
    path: str = CHAT,
    *,
    host: bytes | None = b"localhost",
    kind: bytes = b"application/json",
    length: bytes | None = b"",
    more: bytes = b"",
) -> bytes:
    """A POST as bytes, after which the server is to close; `length` is what is said of the body."""
    head = [f"POST {path} HTTP/1.1".encode(), b"Connection: close", b"Content-Type: " + kind]
    if host is not None:
        head.append(b"Host: " + host)
    if length is not None:
        head.append(b"Content-Length: " + (length or str(len(body)).encode()))
    return b"\r\n".join(head) + b"\r\n" + more + b"\r\n" + body


def chat(**fields: Any) -> bytes:
    """The body of a chat request."""
    return json.dumps({"messages": HELLO, **fields}).encode()


@contextmanager
def target(*options: str) -> Iterator[Target]:
    """A server of its own, with options of tests/api/slow_server.py."""
    port = free_port()
    command = [sys.executable, "-m", "tests.api.slow_server", "--port", str(port), *options]
    with tempfile.NamedTemporaryFile() as log:
        started = subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=TIMEOUT_S) as client:

                def ready() -> bool:
                    with contextlib.suppress(httpx.TransportError):
                        return client.get("/ready").status_code == 200
                    return False

                wait_until(ready)
                yield Target(port, client, Path(log.name))
        finally:
            started.terminate()
            started.wait(TIMEOUT_S)
