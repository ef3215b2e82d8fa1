"""A stage of one's own in the loop: it does its work, and what it does wrong its reply pays for."""

from collections.abc import Iterator
from typing import Any

import pytest

from glasschat.engine import Engine, FinishReason, StartOptions
from glasschat.errors import ParameterError, StageNotHere
from glasschat.glass import BestChanges
from glasschat.models.scripted import HEADER_END, scripted_model
from glasschat.sampling import DEFAULT_ORDER, CustomStage, SamplingParams, StageClasses
from tests.support.own_stages import Half, Letters, Wrong

PROMPT = [*b"Hi", HEADER_END]
CLASSES = StageClasses.of([Letters, Half, Wrong])
SAYS = "abcdefghijklmnop"
TIMEOUT_S = 20


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(scripted_model(SAYS, slots=2), stage_classes=CLASSES) as engine:
        yield engine


def params(own: dict[str, dict[str, Any]], **settings: Any) -> SamplingParams:
    plain = {"temperature": 0.0, "repetition_penalty": 1.0}
    return SamplingParams(**(plain | settings), own_stages=CLASSES.configure(own))


def test_it_runs_in_the_loop_and_stands_in_the_record(engine: Engine) -> None:
    # The script's letter is far ahead of all others, so that only a ban moves it.
    banned = params({"letters": {"by": 50.0, "spare": SAYS.replace("c", "")}}, max_new_tokens=4)
    generation = engine.submit(PROMPT, banned)
    text = generation.result(TIMEOUT_S).text
    assert text[:2] == "ab" and text[2] != "c"
    records = [step.record for step in generation.steps() if step.record is not None]
    assert [stage.name for stage in records[0].stages] == ["letters"]
    assert chr(records[2].top_ids[0]) == "c" != chr(records[2].stages[0].best)


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("raise", "the stage wrong failed: KeyError"),
        ("exit", "the stage wrong failed: SystemExit"),
        ("shape", "the stage wrong returned float32 [259]"),
        ("nan", "the stage wrong held a NaN"),
        ("infinite", "the stage wrong held an infinite score"),
        ("all", "the stage wrong left no token to choose from"),
    ],
)
def test_what_it_does_wrong_ends_its_own_reply_and_nobody_else_notices(
    engine: Engine, how: str, said: str
) -> None:
    wrong = engine.submit(PROMPT, params({"wrong": {"how": how, "token": 3}}))
    other = engine.submit(PROMPT, params({}))
    assert wrong.wait_for_end(TIMEOUT_S)
    failed = wrong.snapshot()
    assert failed.finish_reason is FinishReason.ERROR
    assert failed.error is not None and failed.error.startswith(said)
    assert failed.text == "abc", "what was there is kept"
    assert other.result(TIMEOUT_S).text == SAYS
    assert engine.submit(PROMPT, params({})).result(TIMEOUT_S).text == SAYS


@pytest.mark.parametrize("seen", ["paused", "breakpoint"])
def test_one_that_fails_while_candidates_are_shown_ends_its_reply_too(
    engine: Engine, seen: str
) -> None:
    paused = StartOptions(paused=True)
    start_options = paused if seen == "paused" else StartOptions(breakpoints=(BestChanges(),))
    generation = engine.submit(PROMPT, params({"wrong": {}}), start_options=start_options)
    assert generation.wait_for_end(TIMEOUT_S)
    assert "KeyError" in (generation.snapshot().error or "")


def test_a_stage_that_is_not_here_is_refused_before_anything_is_queued(engine: Engine) -> None:
    with pytest.raises(StageNotHere, match="the stage gone is not here"):
        engine.submit(PROMPT, SamplingParams(own_stages=(CustomStage("gone", "warper"),)))
    with pytest.raises(ParameterError, match=r"letters.by must be a number between 0 and 50"):
        asked = CustomStage.of("letters", "processor", {"by": -1.0})
        engine.submit(PROMPT, SamplingParams(own_stages=(asked,)))
    assert engine.stats().waiting == engine.stats().running == 0


def test_it_stands_before_or_behind_the_others_as_the_order_says(engine: Engine) -> None:
    order = ("half", *DEFAULT_ORDER)
    asked = params({"half": {}}, temperature=0.9, max_new_tokens=1, stages=order)
    generation = engine.submit(PROMPT, asked)
    generation.result(TIMEOUT_S)
    record = generation.steps()[0].record
    assert record is not None
    assert [(s.name, s.kept) for s in record.stages] == [
        ("half", 260), ("temperature", 260), ("top_p", 1),
    ]  # fmt: skip
