"""Two traces part at a place, and each says what it thought of the other's token."""

from dataclasses import replace

import numpy as np
import pytest

from glasschat.glass import diff
from glasschat.sampling import SamplingParams
from tests.glass.recordings import record
from tests.sampling.rows import make_row, softmax

ROWS = [make_row(seed, 400, "peaked", 2.0, 0.0) for seed in range(12)]
PARAMS = SamplingParams(seed=1, temperature=1.0, top_p=1.0, repetition_penalty=1.0)


def test_a_trace_does_not_differ_from_itself() -> None:
    trace = record(ROWS, PARAMS).trace
    found = diff(trace, trace)
    assert found.same and found.sides is None
    assert (found.compared, found.logit_place, found.largest) == (12, None, 0.0)


def test_the_first_other_token_with_what_each_thought_of_it() -> None:
    one, two = (record(ROWS, p).trace for p in (PARAMS, replace(PARAMS, seed=2, top_k=5)))
    found = diff(one, two)
    assert not found.same and found.seeds and found.settings == ("top_k",)
    assert found.place is not None and found.sides is not None
    assert one.token_ids[: found.place] == two.token_ids[: found.place]
    left, right = found.sides
    share = softmax(ROWS[found.place])
    assert left.token_id == one.token_ids[found.place]
    assert left.probability == pytest.approx(share[one.token_ids[found.place]], rel=1e-5)
    assert left.other == pytest.approx(share[two.token_ids[found.place]], rel=1e-5)
    assert right.drawn == pytest.approx(two.record(found.place).probability)
    assert found.logit_place is None, "the rows are the same"


def test_logits_that_differ_a_little_are_measured() -> None:
    moved = [row.copy() for row in ROWS]
    moved[4][int(ROWS[4].argmax())] += np.float32(1e-3)
    greedy = replace(PARAMS, temperature=0.0)
    found = diff(record(ROWS, greedy).trace, record(moved, greedy).trace)
    assert found.same and found.logit_place == 4
    assert found.logit_difference == found.largest == pytest.approx(1e-3, rel=1e-2)


def test_a_reply_that_is_the_beginning_of_the_other() -> None:
    one, two = record(ROWS, PARAMS).trace, record(ROWS[:5], PARAMS).trace
    found = diff(one, two)
    assert found.place == 5 and found.compared == 5 and found.sides is not None
    assert found.sides[1].token_id is None and found.sides[0].token_id == one.token_ids[5]


def test_behind_other_prompts_nothing_is_compared() -> None:
    one = record(ROWS, PARAMS).trace
    two = record(ROWS, PARAMS, earlier=[9]).trace
    found = diff(one, two)
    assert found.prompt_place == 5 and found.compared == 0 and not found.same
