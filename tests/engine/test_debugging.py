"""A reply that starts paused, shows what comes next, and pauses by itself."""

import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pytest

from glasschat.backends import LocalBackend
from glasschat.config import ModelOptions
from glasschat.engine import Engine, FinishReason, Generation, StartOptions, State
from glasschat.errors import ParameterError
from glasschat.glass import EntropyAbove, ProbabilityBelow, TextAppears
from glasschat.models.base import Logits
from glasschat.models.load import load_model, plan_model
from glasschat.models.scripted import END, HEADER_END, ScriptedRunner, scripted_model
from glasschat.prompt import ChatMessage
from glasschat.sampling import SamplingParams, StepRecord
from tests.engine.test_engine import GREEDY, PROMPT, TIMEOUT_S, engine_for, wait_until

SETTINGS = SamplingParams(seed=7, temperature=1.0, max_new_tokens=20, ignore_eos=True)
PAUSED = StartOptions(paused=True)


def babble(ids: Sequence[int]) -> Logits:
    """Letters by chance, that depend on the last two ids alone."""
    row = np.full(260, -30.0, np.float32)
    row[97:123] = np.random.default_rng(list(ids[-2:])).normal(0, 2, 26)
    return row


@pytest.fixture
def engine() -> Iterator[Engine]:
    with Engine(scripted_model(babble)) as engine:
        yield engine


def shown(generation: Generation) -> StepRecord:
    """What comes next, as soon as it can be seen."""
    wait_until(lambda: generation.preview is not None)
    coming = generation.preview
    assert coming is not None
    return coming


def ids(generation: Generation) -> list[int]:
    return [step.token_id for step in generation.steps()]


def test_a_reply_that_starts_paused_shows_its_first_candidates_and_no_token(
    engine: Engine,
) -> None:
    generation = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
    coming = shown(generation)
    wait_until(lambda: generation.snapshot().state is State.PAUSED)
    assert generation.steps() == ()
    np.testing.assert_array_equal(coming.top_logits[:26], np.sort(babble(PROMPT)[97:123])[::-1])
    assert coming.u is not None


def test_what_is_shown_is_what_falls_and_stepping_changes_nothing(engine: Engine) -> None:
    plain = engine.submit(PROMPT, SETTINGS)
    plain.result(TIMEOUT_S)
    stepped = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
    for count in range(20):
        coming = shown(stepped)
        assert len(stepped.steps()) == count
        stepped.step()
        wait_until(lambda count=count: len(stepped.steps()) == count + 1)  # type: ignore[misc]
        record = stepped.steps()[-1].record
        assert record is not None
        assert (record.token_id, record.u, record.stages) == (
            coming.token_id,
            coming.u,
            coming.stages,
        )
    assert stepped.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH
    assert ids(stepped) == ids(plain)
    assert stepped.preview is None


def test_the_next_token_may_be_chosen_from_what_is_shown(engine: Engine) -> None:
    generation = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
    second = int(shown(generation).top_ids[1])
    generation.force(second)
    generation.step()
    wait_until(lambda: len(generation.steps()) == 1)
    assert ids(generation) == [second]
    coming = shown(generation)
    np.testing.assert_array_equal(
        coming.top_logits[:26], np.sort(babble([*PROMPT, second])[97:123])[::-1]
    )
    plain = engine.submit(PROMPT, SETTINGS)
    plain.result(TIMEOUT_S)
    # The draw of the forced token goes by: all others have theirs.
    record = plain.steps()[1].record
    assert record is not None and coming.u == record.u


def test_a_reply_may_begin_with_tokens_taken_by_hand(engine: Engine) -> None:
    """They are taken from the row that the model gave, and leave their draws unused."""
    plain = engine.submit(PROMPT, SETTINGS)
    plain.result(TIMEOUT_S)
    first = int(shown(engine.submit(PROMPT, SETTINGS, start_options=PAUSED)).top_ids[3])
    generation = engine.submit(PROMPT, SETTINGS, start_options=StartOptions(forced=(first, 98)))
    assert generation.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH
    assert ids(generation)[:2] == [first, 98]
    records = [step.record for step in generation.steps()]
    assert [r.forced for r in records if r] == [True, True, *[False] * 18]
    assert next(r.rank for r in records if r) == 3
    usual = [step.record for step in plain.steps()]
    assert [r.u for r in records if r][2:] == [r.u for r in usual if r][2:]


def test_a_reply_that_starts_paused_waits_behind_what_was_taken_by_hand(engine: Engine) -> None:
    generation = engine.submit(
        PROMPT, SETTINGS, start_options=StartOptions(True, forced=(100, 101))
    )
    coming = shown(generation)
    assert ids(generation) == [100, 101]
    row = babble([*PROMPT, 100, 101])[97:123]
    np.testing.assert_array_equal(coming.top_logits[:26], np.sort(row)[::-1])
    generation.resume()
    assert len(generation.result(TIMEOUT_S).text) == 20


def test_an_end_taken_by_hand_ends_the_reply() -> None:
    with engine_for(scripted_model("more and more")) as engine:
        begun = StartOptions(forced=(97, END, 98))
        generation = engine.submit([*b"Hi", HEADER_END], GREEDY, start_options=begun)
        result = generation.result(TIMEOUT_S)
        assert (result.text, result.finish_reason) == ("a", FinishReason.STOP)
        assert generation.message().ids == (97,)


@pytest.mark.parametrize("wrong", [-1, 260])
def test_a_wrong_id_is_refused_before_anything_is_queued(engine: Engine, wrong: int) -> None:
    with pytest.raises(ParameterError, match="token_id must be a token id below 260"):
        engine.submit(PROMPT, SETTINGS, start_options=StartOptions(forced=(97, wrong)))
    assert engine.stats().waiting == engine.stats().running == 0


def test_several_steps_end_where_the_next_can_be_seen(engine: Engine) -> None:
    generation = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
    generation.step(5)
    wait_until(lambda: len(generation.steps()) == 5 and generation.preview is not None)
    assert generation.snapshot().state is State.PAUSED
    generation.resume()
    generation.result(TIMEOUT_S)


def test_a_paused_reply_costs_the_others_one_row_and_no_more() -> None:
    gate = threading.Semaphore(0)
    with engine_for(scripted_model(babble, slots=2, gate=gate)) as engine:
        runner = engine.model.runner
        assert isinstance(runner, ScriptedRunner)
        paused = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
        other = engine.submit(PROMPT, SETTINGS)
        for _ in range(60):
            gate.release()
        other.result(TIMEOUT_S)
        slot = {row.slot for rows in runner.forwards for row in rows}
        assert len(slot) == 2
        rows = [row for forward in runner.forwards for row in forward]
        assert len(rows) <= len(other.steps()) + 3, "the paused one is computed once"
        assert shown(paused) is not None
        paused.cancel()
        assert paused.wait_for_end(TIMEOUT_S)
        assert paused.preview is None
        runner.open_gate()


def test_a_breakpoint_pauses_before_the_choice(engine: Engine) -> None:
    plain = engine.submit(PROMPT, SETTINGS)
    plain.result(TIMEOUT_S)
    chances = [np.exp(s.record.logprob) for s in plain.steps() if s.record is not None]
    limit = ProbabilityBelow(float(sorted(chances)[3]) * 1.0001)
    expected = [place for place, chance in enumerate(chances) if chance < limit.limit]
    generation = engine.submit(PROMPT, SETTINGS, start_options=StartOptions(breakpoints=(limit,)))
    for place in expected:
        coming = shown(generation)
        assert len(generation.steps()) == place
        assert generation.hit_breakpoint is limit
        assert np.exp(coming.logprob) < limit.limit
        generation.resume()
        wait_until(lambda place=place: len(generation.steps()) > place)  # type: ignore[misc]
    assert generation.result(TIMEOUT_S).finish_reason is FinishReason.LENGTH
    assert ids(generation) == ids(plain)
    assert generation.hit_breakpoint is None


def test_a_breakpoint_on_a_text_pauses_behind_it() -> None:
    model = scripted_model("one two three two")
    with engine_for(model) as engine:
        two = TextAppears("two")
        generation = engine.submit(
            [*b"Hi", HEADER_END],
            GREEDY,
            start_options=StartOptions(breakpoints=(EntropyAbove(7.9), two)),
        )
        wait_until(lambda: generation.hit_breakpoint is two and generation.preview is not None)
        assert generation.snapshot().text == "one two"
        generation.resume()
        wait_until(lambda: generation.hit_breakpoint is two and len(generation.steps()) > 10)
        assert generation.snapshot().text == "one two three two"
        coming = shown(generation)
        assert coming.token_id == END
        generation.resume()
        assert generation.result(TIMEOUT_S).finish_reason is FinishReason.STOP


def test_steps_stop_at_a_breakpoint_too(engine: Engine) -> None:
    always = EntropyAbove(0.0)
    generation = engine.submit(PROMPT, SETTINGS, start_options=StartOptions(True, (always,)))
    shown(generation)
    generation.step(5)
    wait_until(lambda: generation.hit_breakpoint is always and generation.preview is not None)
    assert len(generation.steps()) == 1
    generation.break_on()
    generation.resume()
    generation.result(TIMEOUT_S)


def test_candidates_are_shown_with_traces_off_too(engine: Engine) -> None:
    generation = engine.submit(PROMPT, SETTINGS, trace=False, start_options=PAUSED)
    assert len(shown(generation).top_ids) == 64
    generation.resume()
    generation.result(TIMEOUT_S)
    assert all(step.record is None for step in generation.steps())


def test_a_row_that_cannot_be_chosen_from_ends_a_paused_reply_alone() -> None:
    def script(seen: Sequence[int]) -> Logits:
        return np.full(260, np.nan, np.float32) if 66 in seen else babble(seen)

    with engine_for(scripted_model(script)) as engine:
        bad = engine.submit([66, HEADER_END], SETTINGS, start_options=PAUSED)
        good = engine.submit(PROMPT, SETTINGS)
        assert bad.wait_for_end(TIMEOUT_S)
        assert bad.snapshot().finish_reason is FinishReason.ERROR
        good.result(TIMEOUT_S)


def test_a_wrong_id_is_refused_while_paused(engine: Engine) -> None:
    generation = engine.submit(PROMPT, SETTINGS, start_options=PAUSED)
    with pytest.raises(ParameterError):
        generation.force(260)
    generation.cancel()


@pytest.mark.parity
def test_the_real_model_stepped_says_what_it_says_at_once(builtin_model_path: Path) -> None:
    plan = plan_model(ModelOptions(path=builtin_model_path, slots=1, context=512, exact=True))
    backend = LocalBackend(lambda progress: load_model(plan, progress), name="real", exact=True)
    asked = [ChatMessage("user", "Name three rivers.")]
    params = SamplingParams(seed=1, max_new_tokens=12)
    with backend:
        backend.load()
        plain = backend.start(asked, params)
        plain.result(60)
        stepped = backend.start(asked, params, start_options=PAUSED)
        for count in range(len(plain.steps())):
            coming = shown(stepped)
            record = plain.steps()[count].record
            assert record is not None
            assert coming.top_logits.tobytes() == record.top_logits.tobytes()
            stepped.step()
            wait_until(lambda count=count: len(stepped.steps()) > count)  # type: ignore[misc]
        stepped.result(60)
    assert ids(stepped) == ids(plain)
