"""The token loop with a model that follows a script: the cases that a real one rarely shows."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np
import pytest

from glasschat.engine import Engine, FinishReason, State
from glasschat.engine.scheduler import ChunkPacer
from glasschat.errors import (
    EngineStopped,
    ParameterError,
    PromptError,
    PromptTooLong,
    QueueFull,
    ReplyFailed,
)
from glasschat.models.base import ForwardRow, Logits, Model
from glasschat.models.scripted import (
    END,
    HEADER_END,
    Script,
    ScriptedRunner,
    reply_script,
    scripted_model,
)
from glasschat.sampling import SamplingParams

PROMPT = [*b"Hi", HEADER_END]
GREEDY = SamplingParams(temperature=0.0, repetition_penalty=1.0)
TIMEOUT_S = 20


def endless(_ids: Sequence[int]) -> int:
    return ord("x")


@contextmanager
def engine_for(model: Model, **options: object) -> Iterator[Engine]:
    engine = Engine(model, **options)  # type: ignore[arg-type]
    try:
        yield engine
    finally:
        runner_of(engine).open_gate()
        engine.close()


def wait_until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.002)


def runner_of(engine: Engine) -> ScriptedRunner:
    assert isinstance(engine.model.runner, ScriptedRunner)
    return engine.model.runner


def test_a_reply_is_what_the_model_said() -> None:
    with engine_for(scripted_model("Hello, wörld! 😀")) as engine:
        generation = engine.submit(PROMPT, GREEDY)
        assert "".join(generation.deltas()) == "Hello, wörld! 😀"
        result = generation.result(TIMEOUT_S)
        assert result.finish_reason is FinishReason.STOP
        assert result.usage.completion_tokens == len("Hello, wörld! 😀".encode()) + 1
        steps = generation.steps()
        assert steps[-1].token_id == END
        assert all(step.record is not None for step in steps)
        message = generation.message()
        assert message.text == "Hello, wörld! 😀"
        assert message.ids == tuple("Hello, wörld! 😀".encode())


def test_the_next_turn_reuses_the_cache_of_the_last() -> None:
    with engine_for(scripted_model("abc")) as engine:
        first = engine.submit(PROMPT, GREEDY)
        first.result(TIMEOUT_S)
        follow_up = [*PROMPT, *b"abc", END, *b"more", HEADER_END]
        second = engine.submit(follow_up, GREEDY)
        usage = second.result(TIMEOUT_S).usage
        assert usage.prompt_tokens == len(follow_up)
        assert usage.cached_tokens == len(PROMPT) + 3


def test_exact_mode_computes_every_prompt_anew() -> None:
    with engine_for(scripted_model("abc", slots=1), exact=True) as engine:
        for _ in range(2):
            generation = engine.submit(PROMPT, GREEDY)
            assert generation.result(TIMEOUT_S).usage.cached_tokens == 0


@pytest.mark.parametrize(
    ("params", "text", "reason"),
    [
        (SamplingParams(temperature=0.0, max_new_tokens=4), "Hell", FinishReason.LENGTH),
        (SamplingParams(temperature=0.0, max_length=5), "He", FinishReason.LENGTH),
        (SamplingParams(temperature=0.0, stop=("o, w",)), "Hell", FinishReason.STOP),
        (SamplingParams(temperature=0.0, stop_token_ids=(ord("o"),)), "Hell", FinishReason.STOP),
        (SamplingParams(temperature=0.0, stop=("never",)), "Hello, world", FinishReason.STOP),
    ],
)
def test_a_reply_ends_where_its_settings_say(
    params: SamplingParams, text: str, reason: FinishReason
) -> None:
    with engine_for(scripted_model("Hello, world")) as engine:
        result = engine.submit(PROMPT, params).result(TIMEOUT_S)
        assert (result.text, result.finish_reason) == (text, reason)


def test_a_reply_cut_by_a_stop_string_goes_back_as_text() -> None:
    """Its ids say more than was shown, so they would not be what the user saw."""
    with engine_for(scripted_model("Hello, world")) as engine:
        generation = engine.submit(PROMPT, SamplingParams(temperature=0.0, stop=(", w",)))
        generation.result(TIMEOUT_S)
        assert generation.message().ids is None
        assert generation.message().text == "Hello"


def test_min_new_tokens_holds_off_the_end_and_the_stop_strings() -> None:
    def script(ids: Sequence[int]) -> np.ndarray:
        row = np.zeros(260, dtype=np.float32)
        row[END], row[ord("x")] = 20.0, 10.0
        return row

    with engine_for(scripted_model(script)) as engine:
        params = SamplingParams(temperature=0.0, min_new_tokens=5, stop=("x",))
        result = engine.submit(PROMPT, params).result(TIMEOUT_S)
        assert result.usage.completion_tokens >= 5
        assert result.text.startswith("xxxx")


def test_ignore_eos_goes_on_to_the_limit() -> None:
    with engine_for(scripted_model("abc")) as engine:
        params = SamplingParams(temperature=0.0, ignore_eos=True, max_new_tokens=20)
        result = engine.submit(PROMPT, params).result(TIMEOUT_S)
        assert result.finish_reason is FinishReason.LENGTH
        assert result.usage.completion_tokens == 20


def test_too_long_a_prompt_is_refused_with_both_numbers() -> None:
    with engine_for(scripted_model("abc", context=64)) as engine:
        with pytest.raises(PromptTooLong, match=r"64 tokens.*at most 63.*shorten it by 1 tokens"):
            engine.submit([1] * 64, GREEDY)
        assert engine.submit([1] * 63, GREEDY).result(5).usage.completion_tokens == 1


def test_ids_outside_the_vocabulary_are_refused() -> None:
    with engine_for(scripted_model("abc")) as engine:
        with pytest.raises(PromptError, match="260"):
            engine.submit([260], GREEDY)
        with pytest.raises(PromptError, match="empty"):
            engine.submit([], GREEDY)


def test_a_full_queue_refuses_at_once() -> None:
    gate = threading.Semaphore(0)
    with engine_for(scripted_model(endless, slots=1, gate=gate), max_waiting=2) as engine:
        params = SamplingParams(temperature=0.0, max_new_tokens=5)
        first = engine.submit(PROMPT, params)
        wait_until(lambda: engine.stats().running == 1)
        waiting = [engine.submit(PROMPT, params) for _ in range(2)]
        assert [g.snapshot().queue_position for g in waiting] == [1, 2]
        started = time.monotonic()
        with pytest.raises(QueueFull, match="at most 2"):
            engine.submit(PROMPT, params)
        assert time.monotonic() - started < 1
        gate.release(1000)
        for generation in [first, *waiting]:
            assert generation.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH


def test_a_cancelled_reply_keeps_what_is_there_and_frees_its_slot() -> None:
    with engine_for(scripted_model(endless, slots=1)) as engine:
        generation = engine.submit(PROMPT, GREEDY)
        wait_until(lambda: generation.snapshot().usage.completion_tokens >= 3)
        generation.cancel()
        result = generation.result(TIMEOUT_S)
        assert result.finish_reason is FinishReason.CANCELLED
        assert result.text.startswith("xxx")
        wait_until(lambda: engine.stats().free_slots == 1)


def test_a_request_can_be_cancelled_while_it_waits() -> None:
    gate = threading.Semaphore(0)
    with engine_for(scripted_model(endless, slots=1, gate=gate)) as engine:
        params = SamplingParams(temperature=0.0, max_new_tokens=3)
        first, second, third = (engine.submit(PROMPT, params) for _ in range(3))
        second.cancel()
        gate.release(1000)
        assert second.result(TIMEOUT_S).usage.completion_tokens == 0
        assert first.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH
        assert third.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH


def test_fifty_dropped_replies_leave_every_slot_free() -> None:
    with engine_for(scripted_model(endless, slots=4), max_waiting=100) as engine:
        generations = [engine.submit([*PROMPT, i], GREEDY) for i in range(50)]
        for generation in generations:
            generation.cancel()
        for generation in generations:
            assert generation.result(TIMEOUT_S).finish_reason is FinishReason.CANCELLED
        wait_until(lambda: engine.stats().free_slots == 4)
        after = engine.submit(PROMPT, SamplingParams(temperature=0.0, max_new_tokens=2))
        assert after.result(TIMEOUT_S).text == "xx"
        wait_until(lambda: engine.stats().running == 0)
        assert engine.stats().repairs == 0


def test_a_long_prompt_delays_running_replies_by_one_chunk_at_most() -> None:
    gate = threading.Semaphore(0)
    model = scripted_model(endless, slots=2, context=4096, gate=gate)
    with engine_for(model) as engine:
        runner = runner_of(engine)
        running = engine.submit(PROMPT, GREEDY)
        gate.release(3)
        wait_until(lambda: running.snapshot().usage.completion_tokens == 3)
        engine.submit([1] * 2000, GREEDY)
        gate.release(1)
        wait_until(lambda: len(runner.forwards) >= 4)
        before = len(runner.forwards)
        for count in range(1, 20):
            gate.release(1)
            wait_until(lambda n=count: len(runner.forwards) >= before + n)
        beside = [rows for rows in runner.forwards[4:] if any(len(r.ids) > 1 for r in rows)]
        assert beside
        for rows in beside:
            assert sum(len(row.ids) == 1 for row in rows) >= 1, "the running reply had no token"
            assert sum(len(row.ids) for row in rows if len(row.ids) > 1) <= ChunkPacer.MAX_TOKENS
        gate.release(100_000)
        running.cancel()


LONG = list(range(200)) * 4


def computed(engine: Engine, *tails: int) -> list[int]:
    """How many tokens of the prompts LONG + [tail] were computed, in the tails' order."""
    rows = [row for rows in runner_of(engine).forwards for row in rows]
    prompts = [row.slot for row in rows if row.ids[-1] in tails]
    return [sum(len(row.ids) for row in rows if row.slot == slot) for slot in prompts]


def test_prompts_that_come_together_and_begin_alike_are_computed_once() -> None:
    gate = threading.Semaphore(0)
    params = SamplingParams(temperature=0.0, max_new_tokens=1)
    with engine_for(scripted_model(endless, gate=gate, context=1024)) as engine:
        tails = [201, 202, 203, 204]
        first = engine.submit([*LONG, tails[0]], params)
        wait_until(lambda: engine.stats().running == 1)
        rest = [engine.submit([*LONG, tail], params) for tail in tails[1:]]
        gate.release(1000)
        usages = [reply.result(TIMEOUT_S).usage for reply in [first, *rest]]
        assert [usage.cached_tokens for usage in usages] == [0, 800, 800, 800]
        assert sorted(computed(engine, *tails)) == [1, 1, 1, 801]
        assert engine.stats().repairs == 0


def test_who_waits_for_a_prompt_that_is_given_up_computes_it() -> None:
    gate = threading.Semaphore(0)
    params = SamplingParams(temperature=0.0, max_new_tokens=1)
    long = LONG * 5
    with engine_for(scripted_model(endless, gate=gate, context=4096)) as engine:
        first = engine.submit([*long, 1], params)
        wait_until(lambda: engine.stats().running == 1)
        rest = [engine.submit([*long, tail], params) for tail in (201, 202)]
        gate.release(1)
        wait_until(lambda: engine.stats().running == 3)
        first.cancel()
        gate.release(1000)
        assert first.result(TIMEOUT_S).finish_reason is FinishReason.CANCELLED
        usages = [reply.result(TIMEOUT_S).usage for reply in rest]
        # The part that was there when it was given up, and the whole.
        assert 0 < usages[0].cached_tokens < 4000
        assert usages[1].cached_tokens == 4000


def test_a_reply_that_goes_wrong_takes_no_other_with_it() -> None:
    """One sequence's rows make the forward itself fail; the others go on as if alone."""

    def script(ids: Sequence[int]) -> int:
        if ids[0] == 66 and len(ids) > 6:
            raise RuntimeError("boom")
        return ord("a") if len(ids) < 30 else END

    with engine_for(scripted_model(script, slots=3)) as engine:
        good = [engine.submit([65, i], GREEDY) for i in range(2)]
        bad = engine.submit([66, 1], GREEDY)
        with pytest.raises(ReplyFailed, match="boom"):
            bad.result(TIMEOUT_S)
        for generation in good:
            assert generation.result(TIMEOUT_S).text == "a" * 28
        wait_until(lambda: engine.stats().free_slots == 3)
        assert engine.submit([65, 9], GREEDY).result(TIMEOUT_S).text == "a" * 28
        wait_until(lambda: engine.stats().running == 0)
        assert engine.stats().repairs == 0


def test_a_row_of_nan_ends_only_its_own_reply() -> None:
    def script(ids: Sequence[int]) -> "int | np.ndarray":
        if ids[0] == 66:
            return np.full(260, np.nan, dtype=np.float32)
        return ord("a") if len(ids) < 10 else END

    with engine_for(scripted_model(script)) as engine:
        bad, good = engine.submit([66, 1], GREEDY), engine.submit([65, 1], GREEDY)
        with pytest.raises(ReplyFailed, match="NaN"):
            bad.result(TIMEOUT_S)
        assert good.result(TIMEOUT_S).text == "a" * 8


def test_pause_step_force_and_resume() -> None:
    with engine_for(scripted_model(endless)) as engine:
        params = SamplingParams(temperature=0.0, max_new_tokens=500)
        generation = engine.submit(PROMPT, params)
        generation.pause()
        wait_until(lambda: generation.snapshot().state is State.PAUSED)
        there = generation.snapshot().usage.completion_tokens
        generation.step(2)
        wait_until(lambda: generation.snapshot().usage.completion_tokens == there + 2)
        wait_until(lambda: generation.snapshot().state is State.PAUSED)
        generation.force(ord("!"))
        generation.step()
        wait_until(lambda: generation.snapshot().usage.completion_tokens == there + 3)
        record = generation.steps()[-1].record
        assert record is not None
        assert record.forced
        assert record.u is None
        other = engine.submit(PROMPT, SamplingParams(temperature=0.0, max_new_tokens=5))
        assert other.result(TIMEOUT_S).text == "xxxxx", "a paused reply must not hold up others"
        generation.resume()
        result = generation.result(TIMEOUT_S)
        assert result.text == "x" * (there + 2) + "!" + "x" * (500 - there - 3)


def test_draws_belong_to_the_request_whoever_else_is_served() -> None:
    flat: Script = lambda _ids: np.zeros(260, dtype=np.float32)  # noqa: E731
    params = SamplingParams(temperature=1.0, top_p=1.0, seed=7, max_new_tokens=20)
    with engine_for(scripted_model(flat)) as engine:
        alone = engine.submit(PROMPT, params)
        alone.result(TIMEOUT_S)
        crowd = [engine.submit([*PROMPT, i], params) for i in range(3)]
        among = engine.submit(PROMPT, params)
        for generation in [*crowd, among]:
            generation.result(TIMEOUT_S)

        def draws(generation: object) -> list[float | None]:
            return [s.record.u for s in generation.steps()]  # type: ignore[attr-defined]

        assert draws(alone) == draws(among)


def test_a_cache_that_went_wrong_is_not_used_again() -> None:
    """The message says to try again: the second try must not meet the same spoiled cache."""
    spoiled: set[int] = set()

    class Spoiling(ScriptedRunner):
        def forward(self, rows: Sequence[ForwardRow]) -> Logits:
            logits = super().forward(rows)
            if not self.forwards[1:]:
                spoiled.update(row.slot for row in rows)
            for index, row in enumerate(r for r in rows if r.wants_logits):
                if row.slot in spoiled:
                    logits[index] = np.nan
            return logits

        def truncate(self, slot: int, length: int) -> bool:
            if length == 0:
                spoiled.discard(slot)
            return super().truncate(slot, length)

    model = scripted_model("abc")
    model = replace(model, runner=Spoiling(reply_script("abc"), slots=2))
    with engine_for(model) as engine:
        with pytest.raises(ReplyFailed, match="NaN"):
            engine.submit(PROMPT, GREEDY).result(TIMEOUT_S)
        for _ in range(3):
            assert engine.submit(PROMPT, GREEDY).result(TIMEOUT_S).text == "abc"


def test_a_wrong_id_by_hand_is_told_to_who_gave_it_and_the_reply_goes_on() -> None:
    with engine_for(scripted_model(endless)) as engine:
        generation = engine.submit(PROMPT, SamplingParams(temperature=0.0, max_new_tokens=20))
        with pytest.raises(ParameterError, match="260"):
            generation.force(260)
        with pytest.raises(ParameterError, match="at least 1"):
            generation.step(-1)
        assert generation.result(TIMEOUT_S).text == "x" * 20


def test_steps_of_a_running_reply_are_not_saved_up() -> None:
    with engine_for(scripted_model(endless)) as engine:
        generation = engine.submit(PROMPT, SamplingParams(temperature=0.0, max_new_tokens=400))
        generation.step(5)
        generation.pause()
        wait_until(lambda: generation.snapshot().state is State.PAUSED)
        there = generation.snapshot().usage.completion_tokens
        time.sleep(0.05)
        assert generation.snapshot().usage.completion_tokens == there
        generation.cancel()


def test_exact_mode_wants_one_slot() -> None:
    with pytest.raises(ParameterError, match="exact"):
        Engine(scripted_model("abc", slots=2), exact=True)


def test_a_drawn_seed_can_be_read_and_repeats_the_reply() -> None:
    flat: Script = lambda _ids: np.zeros(260, dtype=np.float32)  # noqa: E731
    with engine_for(scripted_model(flat)) as engine:
        first = engine.submit(PROMPT, SamplingParams(max_new_tokens=20))
        seed = first.result(TIMEOUT_S).seed
        assert seed is not None
        again = engine.submit(PROMPT, SamplingParams(max_new_tokens=20, seed=seed))
        again.result(TIMEOUT_S)
        assert [s.token_id for s in again.steps()] == [s.token_id for s in first.steps()]


def test_many_watchers_see_the_same_reply() -> None:
    with engine_for(scripted_model("the same for all" * 10)) as engine:
        generation = engine.submit(PROMPT, GREEDY)
        seen: list[str] = []
        watchers = [
            threading.Thread(target=lambda: seen.append("".join(generation.deltas())))
            for _ in range(8)
        ]
        for watcher in watchers:
            watcher.start()
        for watcher in watchers:
            watcher.join(TIMEOUT_S)
        assert seen == ["the same for all" * 10] * 8


def test_closing_ends_replies_and_gives_the_model_back() -> None:
    model = scripted_model(endless, slots=1)
    engine = Engine(model)
    running, waiting = engine.submit(PROMPT, GREEDY), engine.submit(PROMPT, GREEDY)
    wait_until(lambda: running.snapshot().usage.completion_tokens > 0)
    engine.close()
    assert running.result(5).finish_reason is FinishReason.CANCELLED
    assert waiting.result(5).finish_reason is FinishReason.CANCELLED
    assert runner_of(engine).closed
    with pytest.raises(EngineStopped, match="closed"):
        engine.submit(PROMPT, GREEDY)


def test_an_engine_that_fails_says_so_to_everyone(monkeypatch: pytest.MonkeyPatch) -> None:
    engine = Engine(scripted_model(endless, slots=1))
    running, waiting = engine.submit(PROMPT, GREEDY), engine.submit(PROMPT, GREEDY)
    wait_until(lambda: running.snapshot().usage.completion_tokens > 0)

    def broken() -> None:
        raise RuntimeError("the scheduler broke")

    monkeypatch.setattr(engine._scheduler, "schedule", broken)
    for generation in (running, waiting):
        with pytest.raises(ReplyFailed, match="the scheduler broke"):
            generation.result(TIMEOUT_S)
    with pytest.raises(EngineStopped, match="the scheduler broke"):
        engine.submit(PROMPT, GREEDY)
    engine.close()


def test_whoever_asks_is_told_of_every_change_until_they_have_enough() -> None:
    """An event loop cannot sleep on a reply as a thread does: it is woken."""
    gate = threading.Semaphore(0)
    with engine_for(scripted_model("Hello", gate=gate)) as engine:
        generation = engine.submit(PROMPT, GREEDY)
        told: list[int] = []
        enough = generation.on_change(lambda: told.append(len(generation.steps())))
        gate.release(2)
        wait_until(lambda: 2 in told)
        enough()
        count = len(told)
        runner_of(engine).open_gate()
        generation.result(TIMEOUT_S)
        assert len(told) == count
        clock = generation.clock
        moments = [clock.submitted_at, clock.admitted_at, clock.first_at, clock.ended_at]
        assert moments == sorted(m for m in moments if m is not None)
