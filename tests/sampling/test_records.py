"""A record explains its token truly, long after the row is gone."""

import json
import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import TEMPERATURES, Columns, StageContext, StepRecord
from tests.sampling.choosing import OFF, PARAMS, ROW, sampler, told
from tests.sampling.rows import Row, alive, rows, softmax


def logsumexp(row: Row) -> float:
    wide = row.astype(np.float64)
    return float(wide.max() + np.log(np.exp(wide - wide.max()).sum()))


def assert_record_is_true(record: StepRecord, row: Row) -> None:
    assert record.logsumexp == pytest.approx(logsumexp(row), rel=1e-6, abs=1e-6)
    shares = softmax(row)[softmax(row) > 0]
    entropy = -(shares * np.log(shares)).sum()
    assert record.entropy == pytest.approx(entropy, rel=3e-6, abs=3e-6)
    order = sorted(alive(row).tolist(), key=lambda i: (-row[i], i))
    assert record.top_ids.tolist() == order[:64]
    assert record.top_ids.dtype == np.int32
    np.testing.assert_array_equal(record.top_logits, row[order[:64]])
    others = row[order[64:]].astype(np.float64) - row[order[0]]
    for weight, temperature in zip(record.tail, TEMPERATURES, strict=True):
        expected = np.exp(others / temperature).sum()
        # What float32 loses is lost before a root is taken of it.
        lost = 1e-13 if temperature > 1 else 1e-27
        assert np.exp(weight) == pytest.approx(expected, rel=1e-5, abs=lost)
    assert record.top_logits.dtype == np.float32
    assert record.logit == row[record.token_id]
    if record.logit > -math.inf:
        assert record.rank == order.index(record.token_id)
    kept = len(order)
    for stage in record.stages:
        assert 1 <= stage.kept <= kept
        assert 0 < stage.mass <= 1
        assert stage.kept < kept or stage.mass == 1
        kept = stage.kept


@given(rows(), PARAMS, st.data())
def test_a_record_tells_the_truth_about_its_token(
    row: Row, params: dict[str, Any], data: st.DataObject
) -> None:
    chooser = sampler(row, **params)
    scores = row
    context = StageContext(chooser.history, frozenset({0}))
    left = []
    for stage in chooser.stages:
        before, scores = scores, stage(scores, context)
        mass = softmax(before)[alive(scores)].sum()
        left.append((stage.name, len(alive(scores)), mass, logsumexp(scores), scores.argmax()))
    choice = chooser.sample(row)
    record = told(choice)
    assert_record_is_true(record, row)
    assert record.token_id == choice.token_id
    assert not record.forced
    assert record.probability > 0
    assert record.probability == pytest.approx(softmax(scores)[choice.token_id], rel=1e-5)
    for found, (name, kept, mass, total, best) in zip(record.stages, left, strict=True):
        assert (found.name, found.kept, found.best) == (name, kept, best)
        assert found.mass == pytest.approx(mass, rel=1e-5)
        assert found.logsumexp == pytest.approx(total, rel=2e-6, abs=2e-6)
    forced = told(chooser.force(row, data.draw(st.integers(0, len(row) - 1))))
    assert_record_is_true(forced, row)
    assert forced.forced
    assert forced.u is None


def test_a_token_far_down_the_row_has_its_true_rank_and_logit() -> None:
    row = np.zeros(1000, np.float32)
    row[:100] = np.arange(100, 0, -1)
    record = told(sampler(row, **OFF).force(row, 500))
    assert (record.rank, record.logit) == (500, 0.0)
    assert record.logprob == pytest.approx(-100.459, abs=0.001)
    assert len(record.top_ids) == 64


def test_a_record_can_be_written_as_plain_json() -> None:
    read = json.loads(json.dumps(told(sampler(ROW).sample(ROW)).as_json()))
    assert len(read["top"]) == 64
    assert [s["name"] for s in read["stages"]] == ["repetition_penalty", "temperature", "top_p"]


def test_what_a_stage_measured_is_recorded_and_comes_back_from_columns() -> None:
    chooser = sampler(ROW, **(OFF | {"top_n_sigma": 1.0}))
    record = chooser.sample(ROW).record
    assert record is not None
    measured = [stage.measured for stage in record.stages if stage.name == "top_n_sigma"]
    assert measured == [pytest.approx(float(np.std(ROW, dtype=np.float64)))]
    assert Columns.of([record]).record(0).stages == record.stages
    named = {stage["name"]: "measured" in stage for stage in record.as_json()["stages"]}
    assert [name for name, has_one in named.items() if has_one] == ["top_n_sigma"]
