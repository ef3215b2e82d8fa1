"""An engine that dies of a fault: everybody is told, and another takes its place by itself."""

import ctypes
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from glasschat.backends import LocalBackend, Readiness
from glasschat.backends.host import RestartLimit
from glasschat.config import ModelOptions
from glasschat.engine import FinishReason, Generation
from glasschat.errors import EngineStopped, InvalidModel, ReplyFailed
from glasschat.models.base import ForwardRow, Logits, Model
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import ScriptedRunner, reply_script, scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams

HELLO = [ChatMessage("user", "Hello")]
GREEDY = SamplingParams(temperature=0.0)
SAYING = "Grüße aus 中国!"


class Breakable(ScriptedRunner):
    """Says SAYING, until it is broken: then nothing can be computed on it any more."""

    def __init__(self, gate: threading.Semaphore | None = None) -> None:
        super().__init__(reply_script(SAYING), slots=2, gate=gate)
        self.broken = False

    def forward(self, rows: Sequence[ForwardRow]) -> Logits:
        logits = super().forward(rows)
        if self.broken:
            raise ReplyFailed("the device fell off the bus")
        return logits


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def ready_again(backend: LocalBackend, restarts: int) -> bool:
    described = backend.describe()
    return described.readiness is Readiness.READY and described.restarts == restarts


def fault_of(generation: Generation) -> str:
    assert generation.wait_for_end(20), "nobody was told"
    snapshot = generation.snapshot()
    assert snapshot.finish_reason is FinishReason.ERROR
    return snapshot.error or ""


def kill(backend: LocalBackend) -> None:
    """End the engine's thread, whatever it is doing."""
    thread = backend.engine._thread.ident
    assert thread is not None
    told = ctypes.pythonapi.PyThreadState_SetAsyncExc(
        ctypes.c_ulong(thread), ctypes.py_object(SystemExit)
    )
    assert told == 1


def test_a_killed_engine_tells_everybody_and_another_takes_its_place() -> None:
    gate = threading.Semaphore(0)
    runner = Breakable(gate)
    model = replace(scripted_model(""), runner=runner)
    with LocalBackend(lambda _: model, name="a model") as backend:
        backend.load()
        dead = backend.engine
        replies = [backend.start(HELLO, GREEDY) for _ in range(5)]
        gate.release(6)
        wait_until(lambda: len(replies[0].steps()) >= 3)
        kill(backend)
        runner.open_gate()
        gate.release(100)
        for reply in replies:
            assert fault_of(reply) == "the engine has failed: SystemExit: "
        wait_until(lambda: ready_again(backend, 1))
        assert backend.describe().last_fault == "SystemExit: "
        assert backend.engine is not dead
        assert not runner.closed, "the model itself was sound"
        stats = backend.stats()
        assert (stats.free_slots, stats.running, stats.waiting) == (2, 0, 0)
        # What was written is there, and the rest of it comes.
        more = backend.start([*HELLO, replies[0].message()], GREEDY)
        result = more.result(20)
        assert result.usage.cached_tokens == 0
        assert replies[0].message().text + result.text == SAYING
        wait_until(lambda: backend.stats().running == 0)
        assert backend.stats().repairs == 0


def test_a_fault_of_one_reply_is_not_the_engine_s() -> None:
    def script(ids: Sequence[int]) -> int:
        if b"poison" in bytes(i for i in ids if i < 256):
            raise ReplyFailed("this prompt cannot be computed")
        return reply_script(SAYING)(ids)  # type: ignore[return-value]

    with LocalBackend(lambda _: scripted_model(script, slots=2), name="a model") as backend:
        backend.load()
        for _ in range(8):
            poisoned = backend.start([ChatMessage("user", "poison")], GREEDY)
            assert fault_of(poisoned) == "this prompt cannot be computed"
        assert backend.start(HELLO, GREEDY).result(20).text == SAYING
        assert ready_again(backend, 0)


def test_a_runner_that_computes_nothing_any_more_is_loaded_anew() -> None:
    """The replies alone would fail one by one, for as long as the process lives."""
    runners: list[Breakable] = []

    def load(progress: Callable[[float], None]) -> Model:
        assert all(runner.closed for runner in runners), "two models at once may not fit"
        progress(0.5)
        runners.append(Breakable())
        return replace(scripted_model(""), runner=runners[-1])

    with LocalBackend(load, name="a model") as backend:
        backend.load()
        old = backend.vocabulary
        assert backend.start(HELLO, GREEDY).result(20).text == SAYING
        runners[0].broken = True
        assert "fell off the bus" in fault_of(backend.start(HELLO, GREEDY))
        wait_until(lambda: ready_again(backend, 1))
        assert len(runners) == 2
        assert backend.start(HELLO, GREEDY).result(20).text == SAYING
        # Its memory is freed: whoever still has it must not read there.
        for question in (
            lambda: old.token_bytes(65),
            lambda: old.text_of([65]),
            lambda: old.encode("a", control=False, opened=False),
        ):
            with pytest.raises(EngineStopped):
                question()
        assert backend.vocabulary.token_bytes(65) == b"A"


def test_what_fails_again_and_again_is_given_up_with_its_reason() -> None:
    loaded: list[Breakable] = []

    def load(_progress: Callable[[float], None]) -> Model:
        loaded.append(Breakable())
        loaded[-1].broken = True
        return replace(scripted_model(""), runner=loaded[-1])

    with LocalBackend(load, name="a model", restarts=RestartLimit(most=2)) as backend:
        backend.load()
        for count in (1, 2):
            fault_of(backend.start(HELLO, GREEDY))
            wait_until(lambda n=count: ready_again(backend, n))
        fault_of(backend.start(HELLO, GREEDY))
        wait_until(lambda: backend.describe().readiness is Readiness.FAILED)
        why = backend.describe().error or ""
        assert why.startswith("the engine has failed more than 2 times within 10 minutes")
        assert "fell off the bus" in why
        with pytest.raises(EngineStopped, match="bus"):
            backend.start(HELLO, GREEDY)
        assert len(loaded) == 3


def test_a_model_that_cannot_be_loaded_again_is_said_to_be() -> None:
    first = Breakable()

    def load(_progress: Callable[[float], None]) -> Model:
        if first.broken:
            raise InvalidModel("model.gguf is cut off")
        return replace(scripted_model(""), runner=first)

    with LocalBackend(load, name="a model") as backend:
        backend.load()
        first.broken = True
        fault_of(backend.start(HELLO, GREEDY))
        wait_until(lambda: backend.describe().readiness is Readiness.FAILED)
        why = backend.describe().error or ""
        assert "fell off the bus" in why
        assert why.endswith("cannot be loaded again: model.gguf is cut off")
        assert first.closed
        with pytest.raises(EngineStopped, match="cut off"):
            backend.start(HELLO, GREEDY)


def test_closing_while_the_model_is_loaded_again_leaves_nothing_behind() -> None:
    loading, go_on = threading.Event(), threading.Event()
    runners: list[Breakable] = []

    def load(_progress: Callable[[float], None]) -> Model:
        if runners:
            loading.set()
            assert go_on.wait(20)
        runners.append(Breakable())
        return replace(scripted_model(""), runner=runners[-1])

    backend = LocalBackend(load, name="a model")
    backend.load()
    runners[0].broken = True
    fault_of(backend.start(HELLO, GREEDY))
    assert loading.wait(20)
    assert backend.describe().readiness is Readiness.LOADING
    with pytest.raises(EngineStopped, match=r"failed.*bus.*started again"):
        backend.start(HELLO, GREEDY)
    threading.Timer(0.1, go_on.set).start()
    backend.close()
    assert [runner.closed for runner in runners] == [True, True]


def test_restarts_are_counted_over_a_time() -> None:
    now = 0.0
    restarts = RestartLimit(most=2, within_s=60, clock=lambda: now)
    assert [restarts.allow() for _ in range(3)] == [True, True, False]
    now = 61.0
    assert [restarts.allow() for _ in range(3)] == [True, True, False]
    assert restarts.count == 4


@pytest.mark.parametrize("loaded_anew", [False, True])
def test_llama_cpp_answers_as_before_behind_a_fault(
    builtin_model_path: Path, monkeypatch: pytest.MonkeyPatch, loaded_anew: bool
) -> None:
    """On the same weights with every cache empty, and on weights that were freed and read again."""
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=2, context=256, threads=1))
    params = SamplingParams(temperature=0.0, max_new_tokens=6)
    with LocalBackend(lambda progress: load_model(plan, progress), name="real") as backend:
        backend.load()
        old, runner = backend.vocabulary, backend.engine.model.runner
        before = backend.start(HELLO, params).result(60)

        def broken(_rows: Sequence[ForwardRow]) -> Logits:
            if not loaded_anew:
                # Once: the runner itself is sound.
                monkeypatch.undo()
                raise SystemExit
            raise ReplyFailed("nothing can be computed")

        monkeypatch.setattr(runner, "forward", broken)
        fault_of(backend.start(HELLO, params))
        wait_until(lambda: ready_again(backend, 1))
        assert (backend.engine.model.runner is runner) is not loaded_anew
        after = backend.start(HELLO, params).result(60)
        assert after.usage.cached_tokens == 0
        assert after.text == before.text
        if loaded_anew:
            with pytest.raises(EngineStopped):
                old.token_bytes(42)


def test_rows_that_are_no_numbers_end_their_reply_alone() -> None:
    def script(_ids: Sequence[int]) -> Logits:
        return np.full(260, np.nan, dtype=np.float32)

    with LocalBackend(lambda _: scripted_model(script), name="a model") as backend:
        backend.load()
        for _ in range(3):
            assert "NaN" in fault_of(backend.start(HELLO, GREEDY))
        assert ready_again(backend, 0)
