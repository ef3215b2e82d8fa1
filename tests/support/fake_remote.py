"""A server with OpenAI's interface that does what a test tells it to, well or badly."""

import json
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

MODEL = "tiny"
CHAT = "/v1/chat/completions"


@dataclass(frozen=True)
class Asked:
    """A request that came."""

    path: str
    headers: dict[str, str]
    body: Any


class Exchange:
    """One request, and the pen to answer it with."""

    def __init__(self, handler: BaseHTTPRequestHandler, asked: Asked) -> None:
        self.asked = asked
        self._handler = handler

    def answer(self, status: int, body: Any, **headers: str) -> None:
        """A whole response; what is no text or bytes is sent as JSON."""
        data = body.encode() if isinstance(body, str) else body
        if not isinstance(data, bytes):
            data = json.dumps(body).encode()
        self._handler.send_response(status)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        for name, value in {"content-length": str(len(data)), **named}.items():
            self._handler.send_header(name, value)
        self._handler.end_headers()
        self.send(data)

    def begin(self) -> None:
        """The head of a stream of events, which ends when the connection does."""
        self._handler.send_response(200)
        self._handler.send_header("content-type", "text/event-stream")
        self._handler.send_header("connection", "close")
        self._handler.end_headers()
        self._handler.close_connection = True

    def send(self, data: bytes) -> None:
        """Bytes as they are."""
        self._handler.wfile.write(data)
        self._handler.wfile.flush()

    def event(self, event: Any) -> None:
        """One event."""
        text = event if isinstance(event, str) else json.dumps(event)
        self.send(f"data: {text}\n\n".encode())

    def say(self, *texts: str) -> None:
        """Events with these texts, each a delta."""
        for text in texts:
            self.event(delta(text))

    def end(self, reason: str = "stop", **usage: int) -> None:
        """The last events of a proper stream."""
        self.event({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
        if usage:
            self.event({"choices": [], "usage": usage})
        self.event("[DONE]")

    def break_off(self) -> None:
        """Reset the connection, as a process does that is killed."""
        # A reset takes back what has not been read yet.
        time.sleep(0.1)
        linger = struct.pack("ii", 1, 0)
        self._handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self._handler.connection.close()

    def is_left(self, seconds: float) -> bool:
        """Wait until the client has closed the connection; whether it has."""
        self._handler.connection.settimeout(seconds)
        try:
            return not self._handler.connection.recv(1)
        except TimeoutError:
            return False
        except OSError:
            return True


Script = Callable[[Exchange], None]


def delta(text: str, *tokens: dict[str, Any]) -> dict[str, Any]:
    """An event with a text, and what is told of its tokens."""
    choice: dict[str, Any] = {"index": 0, "delta": {"content": text}, "finish_reason": None}
    if tokens:
        choice["logprobs"] = {"content": list(tokens)}
    return {"object": "chat.completion.chunk", "choices": [choice]}


def token(text: str, logprob: float = -0.1, *top: tuple[str, float]) -> dict[str, Any]:
    """What is told of a token: its own log-probability and that of the likeliest."""

    def told(text: str, logprob: float) -> dict[str, Any]:
        return {"token": text, "logprob": logprob, "bytes": list(text.encode())}

    return {**told(text, logprob), "top_logprobs": [told(*other) for other in top]}


def replying(*texts: str, reason: str = "stop", **usage: int) -> Script:
    """A script that streams these texts and ends."""

    def script(exchange: Exchange) -> None:
        exchange.begin()
        exchange.say(*texts)
        exchange.end(reason, **usage)

    return script


@dataclass
class FakeRemote:
    """A running server. `scripts` are by their paths; what has none is answered with 404."""

    url: str
    scripts: dict[str, Script]
    asked: list[Asked] = field(default_factory=list)

    def chats(self) -> list[Any]:
        """The bodies of the chats that were asked for."""
        return [asked.body for asked in self.asked if asked.path == CHAT]


def models(*names: str, owner: str = "somebody", **more: Any) -> Script:
    """A script for /v1/models."""
    data = [{"id": name, "object": "model", "owned_by": owner, **more} for name in names]
    return lambda exchange: exchange.answer(200, {"object": "list", "data": data})


@contextmanager
def fake_remote(
    chat: Script | None = None, *, owner: str = "somebody", port: int = 0, **model: Any
) -> Iterator[FakeRemote]:
    """Serve one model until the block ends; `chat` answers for its replies.

    `model` is what the list of models says of it besides.
    """
    remote = FakeRemote("", {"/v1/models": models(MODEL, owner=owner, **model)})
    connections: list[socket.socket] = []
    if chat is not None:
        remote.scripts[CHAT] = chat

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            connections.append(self.connection)

        def _handle(self) -> None:
            length = int(self.headers.get("content-length", 0))
            data = self.rfile.read(length)
            headers = {name.lower(): value for name, value in self.headers.items()}
            asked = Asked(self.path, headers, json.loads(data) if data else None)
            remote.asked.append(asked)
            script = remote.scripts.get(self.path)
            exchange = Exchange(self, asked)
            try:
                if script is None:
                    exchange.answer(404, {"error": {"message": "no such path"}})
                else:
                    script(exchange)
            except OSError:
                self.close_connection = True

        do_GET = do_POST = _handle  # noqa: N815

        def log_message(self, *_: Any) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        block_on_close = False

        def handle_error(self, *_: Any) -> None:
            pass

    server = Server(("127.0.0.1", port), Handler)
    remote.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    try:
        yield remote
    finally:
        server.shutdown()
        server.server_close()
        # Those that rest would be answered on by their threads.
        for connection in connections:
            with suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)
        thread.join()


def scripts(*each: Script) -> Script:
    """The first request is answered by the first of them, and so on; the last stays."""
    left: Sequence[Script] = list(each)
    lock = threading.Lock()

    def script(exchange: Exchange) -> None:
        nonlocal left
        with lock:
            now, left = left[0], left[1:] or left
        now(exchange)

    return script
