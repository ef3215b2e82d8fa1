"""The lines of numbers under a reply say what they mean, with units."""

from dataclasses import replace

import pytest

from glasschat.engine import FinishReason, Snapshot, State
from glasschat.engine.snapshot import Timings, Usage
from glasschat.web.figures import figures, ordinal, progress, sentence

DONE = Snapshot(
    version=1,
    state=State.FINISHED,
    queue_position=0,
    prefilled=1102,
    usage=Usage(1102, 1040, 2120),
    text="",
    finish_reason=FinishReason.STOP,
    error=None,
    timings=Timings(0.0912, 400.0, 148.4),
    seed=7,
)


def test_a_finished_reply_tells_its_size_speed_and_cache() -> None:
    assert figures(DONE) == (
        "2,120 tokens · 148 tokens/s · first after 0.09 s · cached 1,040 of 1,102 prompt tokens"
    )


@pytest.mark.parametrize(
    ("reason", "end"),
    [(FinishReason.CANCELLED, "stopped"), (FinishReason.LENGTH, "ended at the length limit")],
)
def test_an_early_end_is_named(reason: FinishReason, end: str) -> None:
    assert figures(replace(DONE, finish_reason=reason)).endswith(f" · {end}")


def test_a_reply_without_a_token_has_no_made_up_speed() -> None:
    nothing = replace(DONE, usage=Usage(9, 0, 0), timings=Timings(None, None, None))
    assert figures(nothing) == "0 tokens · cached 0 of 9 prompt tokens"
    one = replace(DONE, usage=Usage(9, 0, 1), timings=Timings(0.5, None, None))
    assert figures(one) == "1 token · first after 0.50 s · cached 0 of 9 prompt tokens"


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (replace(DONE, state=State.QUEUED, queue_position=1), "next in the queue"),
        (replace(DONE, state=State.QUEUED, queue_position=2), "2nd in the queue"),
        (
            replace(DONE, state=State.PREFILLING, prefilled=672),
            "reading the prompt 61% of 1,102 tokens",
        ),
        (replace(DONE, state=State.RUNNING), "writing"),
        (replace(DONE, state=State.PAUSED), "paused"),
    ],
)
def test_while_waiting_one_knows_for_what(snapshot: Snapshot, line: str) -> None:
    assert progress(snapshot) == line


def test_places_in_a_queue_are_read_aloud() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)
    said = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th"
    assert " ".join(map(ordinal, numbers)) == said


def test_an_error_becomes_one_sentence() -> None:
    assert sentence("the queue is full: try again") == "The queue is full: try again."
    assert sentence("Why?") == "Why?"
