"""The API on a port of its own, in front of a scripted model."""

import asyncio
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import httpx
import numpy as np
import uvicorn

from glasschat.api import AdmissionControl, Api, ApiOptions
from glasschat.api.connection import Connection
from glasschat.backends import LocalBackend
from glasschat.models.base import Logits, Model
from glasschat.models.scripted import ScriptedTokenizer
from glasschat.sampling import NO_STAGES, StageClasses

CHAT, COMPLETIONS = "/v1/chat/completions", "/v1/completions"
HELLO = [{"role": "user", "content": "Hello"}]
TIMEOUT_S = 20.0


@dataclass(frozen=True)
class Served:
    """A server that runs, and a client of it."""

    url: str
    backend: LocalBackend
    admission: AdmissionControl
    client: httpx.Client

    def post(self, path: str, body: Any, **more: Any) -> httpx.Response:
        return self.client.post(path, json=body, **more)

    def chat(self, **fields: Any) -> httpx.Response:
        return self.post(CHAT, {"messages": HELLO, **fields})

    def events(self, path: str = CHAT, **fields: Any) -> list[Any]:
        """The objects of a stream, which has to end as streams do."""
        asked = {"messages": HELLO} if path == CHAT else {}
        answer = self.post(path, {**asked, "stream": True, **fields})
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"].startswith("text/event-stream")
        return events_in(answer.text)


def events_in(text: str) -> list[Any]:
    """What a stream says, which has to end as streams do."""
    lines = [line for line in text.split("\n\n") if line and not line.startswith(":")]
    assert all(line.startswith("data: ") for line in lines), lines
    assert lines[-1] == "data: [DONE]"
    return [json.loads(line.removeprefix("data: ")) for line in lines[:-1]]


@contextmanager
def served(
    model: Model,
    options: ApiOptions | None = None,
    *,
    max_waiting: int = 64,
    loader: Callable[[Callable[[float], None]], Model] | None = None,
    stage_classes: StageClasses = NO_STAGES,
) -> Iterator[Served]:
    """The API in a thread; with a `loader` of one's own it loads in the background."""
    backend = LocalBackend(
        loader or (lambda _: model),
        name="scripted",
        max_waiting=max_waiting,
        stage_classes=stage_classes,
    )
    backend.load_in_background() if loader else backend.load()
    admission = AdmissionControl(backend, options or ApiOptions())
    # With the protocol named, asyncio turns off Nagle's algorithm, as on a server's own port.
    listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listening.bind(("127.0.0.1", 0))
    url = f"http://127.0.0.1:{listening.getsockname()[1]}"
    config = uvicorn.Config(Api(admission), http=Connection, log_config=None, lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve([listening])))
    thread.start()
    try:
        wait_until(lambda: server.started)
        with httpx.Client(base_url=url, timeout=TIMEOUT_S) as client:
            yield Served(url, backend, admission, client)
    finally:
        server.should_exit = server.force_exit = True
        if loader is None:
            runner: Any = backend.engine.model.runner
            runner.open_gate()
        thread.join(TIMEOUT_S)
        backend.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.005)


def endless(_ids: Sequence[int]) -> int:
    return ord("x")


_LETTERS = "abc dé世🙂.".encode()


def babble(ids: Sequence[int]) -> Logits:
    """Text of several alphabets, a byte at a time, otherwise at each place; no end of its own."""
    place = len(ids)
    row = np.random.default_rng(place).normal(0, 2, ScriptedTokenizer.vocab_size)
    row[256:] = -20
    row[128:256] -= 8
    row[_LETTERS[place % len(_LETTERS)]] += 9
    return row.astype(np.float32)
