"""A waterfall shows what the sampler had: the same survivors, the same numbers."""

import numpy as np
import pytest
from hypothesis import given

from glasschat.glass import waterfall
from glasschat.sampling import SamplingParams
from tests.glass.recordings import RECORDINGS, Recording, record
from tests.sampling.rows import Row, make_row, softmax

ROW = make_row(3, 520, "peaked", 2.0, 0.0)


@given(RECORDINGS)
def test_every_column_is_the_stage_over_the_whole_row(recording: Recording) -> None:
    trace = recording.trace
    place = len(trace) - 1
    found = waterfall(trace, place)
    truth = recording.stage_rows(trace.params, place)
    assert [column.name for column in found.columns] == ["raw", *trace.columns.stages]
    record = trace.record(place)
    for column, stage in zip(found.columns[1:], record.stages, strict=True):
        assert (column.kept, column.mass) == (stage.kept, stage.mass) or not column.certain
    for number, (column, row) in enumerate(zip(found.columns, truth, strict=True)):
        if not column.certain:
            continue
        assert column.kept == np.count_nonzero(row > -np.inf)
        cells = {c.token_id: c.cells[number] for c in found.candidates}
        share = softmax(row)
        for token_id, cell in cells.items():
            assert (cell is None) == (row[token_id] == -np.inf)
            if cell is not None:
                assert cell.score == row[token_id]
                assert cell.probability == pytest.approx(share[token_id], rel=1e-5, abs=1e-12)
        assert sum(c.probability for c in cells.values() if c) + column.rest == pytest.approx(
            1.0, abs=1e-5
        )


@given(RECORDINGS)
def test_the_draw_falls_into_the_interval_of_the_token(recording: Recording) -> None:
    trace = recording.trace
    found = waterfall(trace, 0)
    chosen = [c for c in found.candidates if c.chosen]
    assert len(chosen) == (trace.columns.rank[0] < 64)
    if found.u is not None and chosen and found.exact:
        assert chosen[0].interval is not None
        low, high = chosen[0].interval
        assert low - 1e-6 <= found.u <= high + 1e-6
    for candidate in found.candidates:
        last = candidate.cells[-1]
        if "unknown" not in candidate.cells:
            assert (candidate.removed_by is None) == (last is not None)
        else:
            # Where a stage is named, the candidate was there before it, and is nowhere behind it.
            assert candidate.removed_by is None or last in (None, "unknown")
        assert (candidate.reason is None) == (candidate.removed_by is None)
        # Of a candidate of which nothing is known it is not said where a draw falls on it.
        assert (candidate.interval is None) == (last is None or last == "unknown")


@pytest.mark.parametrize(
    ("params", "removed_by", "sentence"),
    [
        ({"top_k": 2}, "top_k", "rank 3, and top-k keeps the best 2"),
        ({"top_p": 0.5}, "top_p", "the 1 better ones hold 51.4%, and top-p stops at 50.0%"),
        ({"min_p": 0.5}, "min_p", "9.07% of the best one's probability, and min-p asks for 50.00%"),
        (
            {"typical_p": 0.2},
            "typical_p",
            "its surprise is too far from the usual one, which typical-p wants",
        ),
        (
            {"min_new_tokens": 2, "stop_token_ids": (7,)},
            "min_new_tokens",
            "the reply may not end before 2 tokens",
        ),
        ({"logit_bias": {7: float("-inf")}}, "logit_bias", "its bias forbids it"),
        ({"no_repeat_ngram_size": 1}, "no_repeat_ngram_size", "it would repeat a run of 1 tokens"),
    ],
)
def test_who_was_removed_and_by_which_rule(
    params: dict[str, object], removed_by: str, sentence: str
) -> None:
    row: Row = np.full(12, -20.0, np.float32)
    row[[5, 8, 9, 7]] = [3.0, 2.2, 2.1, 0.6]
    if "no_repeat_ngram_size" in params:
        row[[5, 7]] = row[[7, 5]]  # 5 is in the prompt
    off = {"temperature": 1.0, "top_p": 1.0, "repetition_penalty": 1.0, "seed": 1}
    found = waterfall(record([row], SamplingParams(**(off | params))).trace, 0)  # type: ignore[arg-type]
    gone = {c.token_id: c for c in found.candidates if c.removed_by == removed_by}
    assert gone
    expected = {str(c.reason) for c in gone.values()}
    assert sentence in expected, expected


def test_other_settings_make_another_waterfall() -> None:
    trace = record([ROW], SamplingParams(seed=1)).trace
    found = waterfall(trace, 0, SamplingParams(seed=1, top_k=3))
    assert [c.name for c in found.columns] == [
        "raw", "repetition_penalty", "temperature", "top_k", "top_p",
    ]  # fmt: skip
    assert found.columns[3].kept == 3


def test_a_place_that_is_not_there() -> None:
    with pytest.raises(IndexError, match="1 tokens and no place 1"):
        waterfall(record([ROW], SamplingParams(seed=1)).trace, 1)


def test_the_place_of_a_long_reply_has_its_whole_past() -> None:
    """Penalties know all that came before, though one token alone is looked at."""
    rows = [make_row(seed, 300, "peaked", 1.0, 0.0) for seed in range(12)]
    params = SamplingParams(seed=4, repetition_penalty=1.4, frequency_penalty=0.5)
    recording = record(rows, params, earlier=[3, 7, 3])
    for place in range(12):
        found = waterfall(recording.trace, place)
        truth = recording.stage_rows(params, place)[-1]
        assert found.output_length == 3 + place
        for candidate in found.candidates:
            last = candidate.cells[-1]
            assert last is None or last.score == truth[candidate.token_id]
