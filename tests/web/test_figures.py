"""The lines of numbers under a reply say what they mean, with units."""

from dataclasses import replace

import pytest

from glasschat.chat import Ending, Node, Run
from glasschat.engine import Snapshot, State, Timings, Usage
from glasschat.sampling import SamplingParams
from glasschat.web.figures import describe_progress, format_figures, ordinal
from glasschat.web.language import Language, speaking

RUN = Run(
    SamplingParams(),
    ending=Ending.STOP,
    usage=Usage(1102, 1040, 2120),
    timings=Timings(0.0912, 400.0, 148.4),
)
WAITING = Snapshot(
    version=1,
    state=State.QUEUED,
    queue_position=0,
    prefilled=1102,
    usage=Usage(1102, 1040, 2120),
    text="",
    finish_reason=None,
    error=None,
    timings=Timings(None, None, None),
    seed=7,
)


def reply(run: Run) -> Node:
    return Node("r", "q", "assistant", "text", runs=(run,))


def test_a_finished_reply_tells_its_size_speed_and_cache() -> None:
    assert format_figures(reply(RUN)) == (
        "2,120 tokens · 148 tokens/s · first after 0.09 s · cached 1,040 of 1,102 prompt tokens"
    )


def test_in_chinese_as_well() -> None:
    with speaking(Language.CHINESE):
        assert format_figures(reply(replace(RUN, ending=Ending.CANCELLED))) == (
            "2,120 个 token · 148 token/秒 · 首个 token 0.09 秒 · "
            "提示词 1,102 个 token，缓存命中 1,040 · 已停止"
        )
        assert describe_progress(replace(WAITING, queue_position=2)) == "排队中，第 2 位"


@pytest.mark.parametrize(
    ("ending", "end"),
    [
        (Ending.CANCELLED, "stopped"),
        (Ending.LENGTH, "ended at the length limit"),
        (Ending.INTERRUPTED, "interrupted"),
    ],
)
def test_an_early_end_is_named(ending: Ending, end: str) -> None:
    assert format_figures(reply(replace(RUN, ending=ending))).endswith(f" · {end}")


def test_a_reply_that_was_continued_counts_all_of_it() -> None:
    assert format_figures(reply(replace(RUN, first_token=80))).startswith("2,200 tokens · ")


def test_a_reply_without_a_token_has_no_made_up_speed() -> None:
    nothing = replace(RUN, usage=Usage(9, 0, 0), timings=Timings(None, None, None))
    assert format_figures(reply(nothing)) == "0 tokens · cached 0 of 9 prompt tokens"
    one = replace(RUN, usage=Usage(9, 0, 1), timings=Timings(0.5, None, None))
    assert (
        format_figures(reply(one)) == "1 token · first after 0.50 s · cached 0 of 9 prompt tokens"
    )


@pytest.mark.parametrize(
    ("snapshot", "line"),
    [
        (replace(WAITING, queue_position=1), "next in the queue"),
        (replace(WAITING, queue_position=2), "2nd in the queue"),
        (
            replace(WAITING, state=State.PREFILLING, prefilled=672),
            "reading the prompt 61% of 1,102 tokens",
        ),
        (replace(WAITING, state=State.RUNNING), "writing"),
        (replace(WAITING, state=State.PAUSED), "paused"),
    ],
)
def test_while_waiting_one_knows_for_what(snapshot: Snapshot, line: str) -> None:
    assert describe_progress(snapshot) == line


def test_places_in_a_queue_are_read_aloud() -> None:
    numbers = (1, 2, 3, 4, 11, 12, 13, 21, 22, 101, 111)
    said = "1st 2nd 3rd 4th 11th 12th 13th 21st 22nd 101st 111th"
    assert " ".join(map(ordinal, numbers)) == said
