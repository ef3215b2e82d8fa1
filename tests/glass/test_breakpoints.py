"""Breakpoints are asked before a choice falls, and behind it."""

import math

import numpy as np
import pytest

from glasschat.errors import ParameterError
from glasschat.glass import BestChanges, EntropyAbove, ProbabilityBelow, TextAppears
from glasschat.sampling import SamplingParams, StepRecord
from tests.glass.recordings import record


def coming(row: list[float], **params: float) -> StepRecord:
    settings = {"temperature": 0.0, "repetition_penalty": 1.0} | params
    return record([np.array(row, np.float32)], SamplingParams(**settings)).trace.record(0)  # type: ignore[arg-type]


def test_a_choice_that_the_model_hardly_expected() -> None:
    step = coming([0.0, 0.0, 0.0, 0.0])
    assert ProbabilityBelow(0.26).before(step)
    assert not ProbabilityBelow(0.25).before(step)


def test_a_row_that_leaves_much_open() -> None:
    step = coming([0.0] * 8)
    assert EntropyAbove(2.99).before(step)
    assert not EntropyAbove(3.01).before(step)


def test_a_stage_that_puts_another_token_first() -> None:
    row = [3.0, 5.0, 4.9, 4.8]  # 1 stands in the prompt
    assert not BestChanges().before(coming(row))
    changed = coming(row, repetition_penalty=1.5)
    assert BestChanges().before(changed)
    assert BestChanges("repetition_penalty").before(changed)
    assert not BestChanges("top_k").before(changed)


@pytest.mark.parametrize(
    ("text", "new", "hit"),
    [
        ("so the end", 4, True),
        ("so the end", 1, True),
        ("so the end.", 1, False),
        ("so the en", 2, False),
        ("so the end of the end", 1, True),
        ("the end", 7, True),
        ("", 0, False),
    ],
)
def test_a_text_is_met_once_however_the_tokens_cut_it(text: str, new: int, hit: bool) -> None:
    assert TextAppears("the end").after(text, new) is hit


def test_what_cannot_be_met_is_refused() -> None:
    for make in (
        lambda: ProbabilityBelow(0.0),
        lambda: ProbabilityBelow(1.5),
        lambda: EntropyAbove(math.nan),
        lambda: EntropyAbove(-1.0),
        lambda: TextAppears(""),
    ):
        with pytest.raises(ParameterError):
            make()
