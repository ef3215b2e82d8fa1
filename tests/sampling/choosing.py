"""A sampler for tests, with settings that between them take every path through it."""

from collections.abc import Sequence
from typing import Any

from hypothesis import strategies as st

from glasschat.sampling import Choice, Sampler, SamplingParams, StepRecord
from tests.sampling.rows import Row, make_row

OFF: dict[str, Any] = {"temperature": 1, "top_p": 1, "repetition_penalty": 1}
ROW = make_row(3, 520, "peaked", 2.0, 0.0)
SETTINGS: list[dict[str, Any]] = [
    {},
    OFF,
    {"top_k": 1},
    {"top_p": 0.0},
    {"temperature": 0.01, "min_p": 0.5},
    {"temperature": 100.0, "top_p": 1.0},
    {"presence_penalty": 2, "frequency_penalty": 2, "no_repeat_ngram_size": 2, "typical_p": 0.5},
]


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.05, 3),
        "top_k": st.integers(0, 100),
        "top_p": st.floats(0, 1),
        "min_p": st.floats(0, 1),
        "typical_p": st.floats(0.01, 1),
        "repetition_penalty": st.floats(0.5, 2),
        "do_sample": st.booleans(),
        "seed": st.integers(0, 2**64 - 1),
    },
)


def sampler(
    row: Row,
    *,
    trace: bool = True,
    stages: Any = None,
    reply_ids: Sequence[int] = (),
    **params: Any,
) -> Sampler:
    return Sampler(
        SamplingParams(**{"seed": 11} | params),
        [1, 0, 1],
        end_ids=[0],
        vocab_size=len(row),
        reply_ids=reply_ids,
        trace=trace,
        stages=stages,
    )


def told(choice: Choice) -> StepRecord:
    assert choice.record is not None
    return choice.record
