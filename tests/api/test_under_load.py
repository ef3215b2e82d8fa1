"""The server under pressure: full queues, clients that leave, deadlines, its own end."""

import asyncio
import contextlib
import json
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import pytest

from glasschat.api import ApiOptions
from glasschat.errors import InvalidModel
from glasschat.models.base import Model
from glasschat.models.scripted import reply_script, scripted_model
from tests.api.serving import CHAT, HELLO, Served, endless, events_in, served, wait_until
from tests.api.test_refusals import error_of
from tests.support.browser import free_port

LONG = {"messages": HELLO, "max_tokens": 300}


def busy(server: Served) -> int:
    stats = server.backend.stats()
    return stats.running + stats.waiting


def in_background(work: Callable[[], object]) -> threading.Thread:
    thread = threading.Thread(target=work)
    thread.start()
    return thread


def test_a_full_queue_says_when_to_come_again() -> None:
    gate = threading.Semaphore(0)
    with served(scripted_model(endless, slots=1, gate=gate), max_waiting=2) as server:
        threads = [in_background(lambda: server.chat(max_tokens=2)) for _ in range(3)]
        wait_until(lambda: busy(server) == 3)
        for stream in (False, True):
            answer = server.chat(stream=stream)
            assert error_of(answer, 429)["code"] == "queue_full"
            assert int(answer.headers["retry-after"]) >= 1
        gate.release(1000)
        for thread in threads:
            thread.join()
        assert server.chat(max_tokens=2).status_code == 200


def test_choices_are_queued_all_or_none() -> None:
    gate = threading.Semaphore(0)
    with served(scripted_model(endless, slots=1, gate=gate), max_waiting=2) as server:
        thread = in_background(lambda: server.chat(max_tokens=2))
        wait_until(lambda: busy(server) == 1)
        error_of(server.chat(n=3), 429)
        gate.release(1000)
        thread.join()
        wait_until(lambda: busy(server) == 0)
        assert server.chat(n=3, max_tokens=2).status_code == 200
        # More than there can ever be room for is no matter of waiting.
        assert error_of(server.chat(n=4), 400)["param"] == "n"


def test_while_the_model_loads() -> None:
    loaded = threading.Event()

    def load(progress: Callable[[float], None]) -> Model:
        progress(0.25)
        loaded.wait(20)
        return scripted_model("Hello")

    with served(scripted_model(""), loader=load) as server:
        for answer in (server.chat(), server.client.get("/ready")):
            assert "25%" in error_of(answer, 503)["message"]
            assert int(answer.headers["retry-after"]) >= 1
        health = server.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "loading")
        assert server.client.get("/v1/models").json()["data"][0]["max_model_len"] == 0
        loaded.set()
        wait_until(lambda: server.client.get("/ready").status_code == 200)
        assert server.chat().status_code == 200


def test_a_model_that_could_not_be_loaded() -> None:
    def load(_progress: Callable[[float], None]) -> Model:
        raise InvalidModel("model.gguf is cut off: download it again")

    with served(scripted_model(""), loader=load) as server:
        wait_until(lambda: server.client.get("/health").status_code == 503)
        assert server.client.get("/health").json()["status"] == "failed"
        assert "cut off" in error_of(server.chat(), 503)["message"]


@pytest.mark.parametrize("by", ["request", "server"])
def test_a_deadline_ends_a_request_and_frees_its_slot(by: str) -> None:
    def slowly(_ids: object) -> int:
        time.sleep(0.01)
        return ord("x")

    limit = {"timeout": 0.2} if by == "request" else {}
    options = ApiOptions(timeout_s=0.2 if by == "server" else None)
    with served(scripted_model(slowly), options) as server:
        answer = server.chat(**limit)
        assert error_of(answer, 504)["code"] == "timeout"
        assert answer.headers["x-should-retry"] == "false"
        *events, last = events_in(server.post(CHAT, {**LONG, "stream": True, **limit}).text)
        assert any(event["choices"][0]["delta"].get("content") for event in events)
        assert last["error"]["code"] == "timeout"
        wait_until(lambda: busy(server) == 0)
        assert server.backend.stats().free_slots == 4


# --- clients that leave -------------------------------------------------------------------------


def test_sixty_dropped_requests_leave_every_slot_free() -> None:
    """Streaming and not, running and still waiting; then an answer comes at once."""

    def slowly(ids: Any) -> int:
        time.sleep(0.002)
        return endless(ids)

    async def drop_all(url: str) -> None:
        async with httpx.AsyncClient(base_url=url, timeout=30) as client:

            async def drop(number: int) -> None:
                body = {**LONG, "stream": number % 2 == 0}
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(0.3 + number % 7 * 0.05):
                        async with client.stream("POST", CHAT, json=body) as answer:
                            async for _ in answer.aiter_bytes():
                                pass

            await asyncio.gather(*map(drop, range(60)))

    with served(scripted_model(slowly)) as server:
        asyncio.run(drop_all(server.url))
        began = time.monotonic()
        assert server.chat(max_tokens=2).status_code == 200
        assert time.monotonic() - began < 5
        wait_until(lambda: busy(server) == 0)
        stats = server.backend.stats()
        assert (stats.free_slots, stats.repairs) == (4, 0)


def test_who_leaves_is_noticed_within_one_step() -> None:
    gate = threading.Semaphore(0)
    with served(scripted_model(endless, gate=gate)) as server:
        with server.client.stream("POST", CHAT, json={**LONG, "stream": True}) as answer:
            gate.release(4)
            next(answer.iter_bytes())
        wait_until(lambda: not server.admission._running)
        gate.release(1)
        wait_until(lambda: busy(server) == 0)


def test_half_a_request_and_then_nothing(talker: Served) -> None:
    host, port = talker.url.removeprefix("http://").split(":")
    for _ in range(20):
        with socket.create_connection((host, int(port))) as half:
            half.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
            )
    assert talker.chat().status_code == 200


def test_a_slow_body_is_not_waited_for(talker: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasschat.api.parse.BODY_TIMEOUT_S", 0.2)
    host, port = talker.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as slow:
        slow.sendall(
            b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
            b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
        )
        assert b" 408 " in slow.recv(1000).split(b"\r\n")[0]


def test_who_does_not_read_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasschat.api.connection.READ_TIMEOUT_S", 0.3)
    body = json.dumps(
        {"messages": HELLO, "stream": True, "glass": True, "n": 4, "max_tokens": 400}
    ).encode()
    with served(scripted_model(endless)) as server:
        host, port = server.url.removeprefix("http://").split(":")
        with socket.socket() as deaf:
            deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            deaf.connect((host, int(port)))
            deaf.sendall(
                b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n"
                b"Content-Type: application/json\r\n"
                b"Content-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            wait_until(lambda: bool(server.admission._running))
            wait_until(lambda: not server.admission._running)
        assert server.chat(max_tokens=2).status_code == 200


def test_a_quiet_stream_is_kept_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("glasschat.api.sse.KEEP_ALIVE_S", 0.05)
    gate = threading.Semaphore(0)
    with served(scripted_model(reply_script("Hi"), gate=gate)) as server:
        with server.client.stream("POST", CHAT, json={**LONG, "stream": True}) as answer:
            text = ""
            for part in answer.iter_text():
                text += part
                if text.count(": waiting") == 3:
                    gate.release(100)
        assert len(events_in(text)) >= 3


# --- the end ------------------------------------------------------------------------------------


@contextmanager
def process(drain_s: float) -> Iterator[tuple[subprocess.Popen[bytes], httpx.Client]]:
    port = free_port()
    command = [sys.executable, "-m", "tests.api.slow_server"]
    started = subprocess.Popen([*command, "--port", str(port), "--drain", str(drain_s)])
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:

            def ready() -> bool:
                with contextlib.suppress(httpx.TransportError):
                    return client.get("/ready").status_code == 200
                return False

            wait_until(ready)
            yield started, client
    finally:
        started.kill()
        started.wait()


def lines_after(answer: httpx.Response, count: int) -> Iterator[str]:
    lines = answer.iter_lines()
    for _ in range(count):
        next(lines)
    return lines


def test_told_to_end_it_finishes_what_runs_and_takes_no_more() -> None:
    with process(drain_s=20) as (server, client):
        body = {"messages": HELLO, "stream": True, "max_tokens": 60}
        with client.stream("POST", CHAT, json=body) as answer:
            rest = lines_after(answer, 8)
            server.send_signal(signal.SIGTERM)
            wait_until(lambda: client.get("/ready").status_code == 503)
            refused = client.post(CHAT, json={"messages": HELLO})
            assert "ending" in error_of(refused, 503)["message"]
            assert int(refused.headers["retry-after"]) >= 1
            told = [line for line in rest if line]
        assert told[-1] == "data: [DONE]"
        assert (
            json.loads(told[-2].removeprefix("data: "))["choices"][0]["finish_reason"] == "length"
        )
        assert server.wait(10) in (0, -signal.SIGTERM)


def test_after_the_stated_time_it_ends_all_the_same() -> None:
    with process(drain_s=0.5) as (server, client):
        body = {"messages": HELLO, "stream": True}
        with client.stream("POST", CHAT, json=body) as answer:
            rest = lines_after(answer, 8)
            began = time.monotonic()
            server.send_signal(signal.SIGTERM)
            told = [line for line in rest if line]
        assert told[-1] == "data: [DONE]"
        error = json.loads(told[-2].removeprefix("data: "))["error"]
        assert error["code"] == "unavailable"
        assert server.wait(10) in (0, -signal.SIGTERM)
        assert 0.4 < time.monotonic() - began < 5


def test_told_twice_it_ends_at_once() -> None:
    body = {"messages": HELLO, "stream": True}
    with process(drain_s=60) as (server, client), client.stream("POST", CHAT, json=body) as answer:
        lines_after(answer, 8)
        server.send_signal(signal.SIGTERM)
        wait_until(lambda: client.get("/ready").status_code == 503)
        server.send_signal(signal.SIGTERM)
        assert server.wait(10) in (0, -signal.SIGTERM)
