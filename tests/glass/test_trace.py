"""A part of a trace answers as the whole does."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from glasschat.chat.exchange import TraceFile, read_trace, trace_lines
from glasschat.engine import Engine
from glasschat.glass import Trace, values, waterfall, what_if
from glasschat.sampling import SamplingParams
from tests.glass.recordings import SETTINGS
from tests.glass.test_what_if import PROMPT, engine, written
from tests.support.examples import examples

__all__ = ["engine"]  # a fixture


@given(own=SETTINGS, other=SETTINGS, earlier=st.sampled_from([0, 4]), data=st.data())
@settings(max_examples=examples(40))
def test_a_part_answers_as_the_whole(
    engine: Engine, own: dict[str, Any], other: dict[str, Any], earlier: int, data: st.DataObject
) -> None:
    prompt = PROMPT.with_open_reply(1, [97, 98, 97, 99][:earlier], "abac"[:earlier])
    trace, _ = written(engine, SamplingParams(**own, max_new_tokens=20), prompt)
    if trace is None:
        return
    start = data.draw(st.integers(0, len(trace) - 1))
    stop = data.draw(st.integers(start + 1, len(trace)))
    part = trace.part(start, stop)
    assert (part.reply_start, part.earlier) == (trace.reply_start, trace.earlier + start)
    assert part.token_ids == trace.token_ids[start:stop] and part.texts == trace.texts[start:stop]
    np.testing.assert_array_equal(part.draws, trace.draws[start:stop])
    params = SamplingParams(**(other | {"seed": own["seed"]}))
    assert what_if(part, params).divergences == tuple(
        replace(d, place=d.place - start)
        for d in what_if(trace, params).divergences
        if start <= d.place < stop
    )
    np.testing.assert_array_equal(values(part).surprise, values(trace).surprise[start:stop])
    shown = waterfall(part, stop - start - 1, params)
    assert replace(shown, place=stop - 1) == waterfall(trace, stop - 1, params)
    assert same_prompts(part.part(0, 1), trace.part(start, start + 1))


def test_a_part_can_leave_as_a_file(engine: Engine) -> None:
    """A reader that refuses spans that do not tile is the oracle."""
    trace, ids = written(engine, SamplingParams(seed=1, max_new_tokens=20, ignore_eos=True))
    assert trace is not None
    for begun in (trace, trace.part(3, 20)):
        part = begun.part(2, 9)
        again = read_trace(iter(line.encode() for line in trace_lines(TraceFile(part)))).trace
        assert same_prompts(again, part)
        assert again.token_ids == part.token_ids
    assert part.prompt.open_reply is not None
    assert part.prompt.open_reply.text == "".join(trace.texts[:5])
    assert part.prompt.ids == (*PROMPT.ids, *ids[:5])
    assert [(span.origin, span.message) for span in part.prompt.spans] == [
        ("template", None),
        ("assistant", 1),
    ]


@pytest.mark.parametrize(("start", "stop"), [(-1, 2), (3, 2), (0, 21), (21, 21)])
def test_tokens_that_are_not_there_are_refused(engine: Engine, start: int, stop: int) -> None:
    trace, _ = written(engine, SamplingParams(seed=1, max_new_tokens=20, ignore_eos=True))
    assert trace is not None
    with pytest.raises(IndexError, match="20 tokens"):
        trace.part(start, stop)
    with pytest.raises(IndexError, match="no place 20"):
        trace.at(20)


def same_prompts(one: Trace, two: Trace) -> bool:
    """Whether both have read the same, whatever of it they wrote themselves."""
    return (one.prompt.ids, one.prompt.spans, one.prompt.open_reply) == (
        two.prompt.ids,
        two.prompt.spans,
        two.prompt.open_reply,
    )
