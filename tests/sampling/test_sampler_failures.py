"""What cannot be sampled fails in plain words, and fails this reply alone."""

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import ParameterError, ReplyFailed
from glasschat.sampling import Sampler, SamplingParams
from tests.sampling.choosing import PARAMS, ROW, sampler, told
from tests.sampling.rows import Row, rows


@pytest.mark.parametrize("token_id", [-1, 520])
def test_a_token_that_does_not_exist_cannot_be_forced(token_id: int) -> None:
    chooser = sampler(ROW)
    with pytest.raises(ParameterError, match=f"between 0 and 519, and {token_id}"):
        chooser.force(ROW, token_id)
    assert chooser.history.output_length == 0


@pytest.mark.parametrize(
    ("params", "named"),
    [({"logit_bias": {5: 1.0, 520: 1.0}}, "logit_bias"), ({"stop_token_ids": (9, 520)}, "stop")],
)
def test_a_token_beyond_the_vocabulary_is_refused_before_the_first_step(
    params: dict[str, Any], named: str
) -> None:
    with pytest.raises(ParameterError, match=named) as caught:
        sampler(ROW, **params)
    assert "520" in str(caught.value)
    assert "vocabulary size 520, and 520 is not" in str(caught.value)


@pytest.mark.filterwarnings("error")
@given(
    row=rows(2500),
    place=st.floats(0, 1, exclude_max=True),
    bad=st.sampled_from([math.nan, math.inf]),
    params=PARAMS,
    trace=st.booleans(),
    forced=st.booleans(),
)
def test_a_broken_row_fails_this_reply_in_words_and_nothing_else(
    row: Row, place: float, bad: float, params: dict[str, Any], trace: bool, forced: bool
) -> None:
    row[int(place * len(row))] = bad
    chooser = sampler(row, trace=trace, **params)
    with pytest.raises(ReplyFailed, match="the model's logits held a"):
        chooser.force(row, 0) if forced else chooser.sample(row)
    assert chooser.history.output_length == 0
    good = np.zeros(len(row), np.float32)
    if not chooser.params.greedy and trace:  # no draw was lost to the failure
        first = np.random.Generator(np.random.PCG64(chooser.seed)).random()
        assert told(chooser.sample(good)).u == first


@pytest.mark.parametrize("trace", [True, False])
def test_a_row_without_any_token_fails_this_reply(trace: bool) -> None:
    row = np.full(520, -np.inf, np.float32)
    with pytest.raises(ReplyFailed, match=r"logits left no token .* another file"):
        sampler(row, trace=trace).sample(row)


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize(
    ("stage", "params"),
    [
        ("logit_bias", {"logit_bias": dict.fromkeys(range(4), -math.inf)}),
        ("no_repeat_ngram_size", {"no_repeat_ngram_size": 1}),
        ("min_new_tokens", {"min_new_tokens": 5}),
        ("temperature", {"temperature": 1e-44}),
        ("repetition_penalty", {"repetition_penalty": 1e-44}),
    ],
)
def test_a_stage_that_leaves_nothing_to_draw_is_named(
    stage: str, params: dict[str, Any], trace: bool
) -> None:
    row = np.ones(4, np.float32)
    chooser = Sampler(
        SamplingParams(**params), [0, 1, 2, 3], end_ids=range(4), vocab_size=4, trace=trace
    )
    with pytest.raises(ReplyFailed, match=f"the stage {stage} "):
        chooser.sample(row)


def test_a_row_of_another_length_is_not_guessed_at() -> None:
    with pytest.raises(ReplyFailed, match=r"\(7,\).*520"):
        sampler(ROW).sample(np.zeros(7, np.float32))
