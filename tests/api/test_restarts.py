"""What programs see of an engine that dies and comes again."""

import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from typing import Any

import httpx

from glasschat.errors import ReplyFailed
from glasschat.models.base import ForwardRow, Logits, Model
from glasschat.models.scripted import ScriptedRunner, scripted_model
from tests.api.serving import CHAT, HELLO, Served, endless, events_in, served, wait_until
from tests.api.test_metrics import scraped
from tests.api.test_refusals import error_of

LOST = "the device is lost"


class Losing(ScriptedRunner):
    """Computes until it is told that its device is lost."""

    lost = False

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        logits = super().forward(rows)
        if self.lost:
            raise ReplyFailed(LOST)
        return logits


def ready(server: Served) -> bool:
    return server.client.get("/ready").status_code == 200


def test_a_dead_engine_is_told_and_comes_again() -> None:
    go_on = threading.Event()
    gate = threading.Semaphore(0)
    runners: list[Losing] = []

    def load(progress: Callable[[float], None]) -> Model:
        if runners:
            progress(0.5)
            assert go_on.wait(20)
        runners.append(Losing(endless, slots=1, gate=None if runners else gate))
        return replace(scripted_model(""), runner=runners[-1])

    with served(scripted_model(""), loader=load) as server, ExitStack() as at_last:
        # Else a failure of this test would be a hang.
        at_last.callback(gate.release, 1000)
        at_last.callback(go_on.set)
        wait_until(lambda: ready(server))
        assert server.client.get("/health").json()["restarts"] == 0
        assert scraped(server)["glasschat:engine_restarts_total"] == 0
        streamed: list[Any] = []
        waited: list[httpx.Response] = []

        def stream() -> None:
            answer = server.post(CHAT, {"messages": HELLO, "stream": True})
            streamed.extend(events_in(answer.text))

        threads = [threading.Thread(target=stream)]
        threads[0].start()
        gate.release(5)
        wait_until(lambda: len(runners[0].forwards) == 5)
        threads.append(threading.Thread(target=lambda: waited.append(server.chat())))
        threads[1].start()
        wait_until(lambda: server.backend.stats().waiting == 1)
        runners[0].lost = True
        gate.release(100)
        for thread in threads:
            thread.join(20)

        # The one that was written has its text, then an error; so has the one that waited.
        said = "".join(e["choices"][0]["delta"].get("content", "") for e in streamed[:-1])
        assert said == "xxxxx"
        assert LOST in streamed[-1]["error"]["message"]
        error = error_of(waited[0], 500)
        assert (error["code"], LOST in error["message"]) == ("reply_failed", True)

        health = server.client.get("/health")
        assert (health.status_code, health.json()["status"]) == (200, "loading")
        assert health.json()["progress"] == 0.5
        assert LOST in health.json()["error"]
        refused = server.chat()
        assert "is being started again" in error_of(refused, 503)["message"]
        assert int(refused.headers["retry-after"]) >= 1
        go_on.set()
        wait_until(lambda: ready(server))
        assert server.chat(max_tokens=2).json()["choices"][0]["message"]["content"] == "xx"
        health = server.client.get("/health").json()
        assert health["status"] == "ok"
        assert "error" not in health
        assert (health["restarts"], LOST in health["last_fault"]) == (1, True)
        found = scraped(server)
        assert found["glasschat:engine_restarts_total"] == 1
        assert found["vllm:request_success_total{error}"] == 2
