"""A stage that a user wrote is run, recorded and guarded like those that came with glasschat."""

from dataclasses import dataclass

import numpy as np
import pytest

from glasschat.sampling import StageContext, StageKind
from tests.sampling.choosing import ROW, sampler, told
from tests.sampling.rows import Row, softmax


@dataclass(frozen=True)
class OnlyEven:
    """A stage as a user would write it."""

    name: str = "only_even"
    kind: StageKind = "warper"

    def __call__(self, scores: Row, context: StageContext) -> Row:
        even = scores.copy()
        even[1::2] = -np.inf
        return even


@dataclass(frozen=True)
class Careless:
    """A stage that writes to what it was given."""

    name: str = "careless"
    kind: StageKind = "processor"

    def __call__(self, scores: Row, context: StageContext) -> Row:
        scores[0] = 0
        return scores


def test_a_stage_of_ones_own_runs_and_is_recorded_like_any_other() -> None:
    chooser = sampler(ROW, stages=[OnlyEven()])
    records = [told(chooser.sample(ROW)) for _ in range(20)]
    assert all(r.token_id % 2 == 0 for r in records)
    assert records[0].stages[0].name == "only_even"
    assert records[0].stages[0].kept == 260
    assert records[0].stages[0].mass == pytest.approx(softmax(ROW)[::2].sum(), rel=1e-5)


def test_a_warper_of_ones_own_is_not_run_by_a_greedy_reply() -> None:
    assert sampler(ROW, stages=[OnlyEven()], temperature=0).stages == ()


def test_a_stage_that_writes_to_its_input_cannot_touch_the_models_memory() -> None:
    row = ROW.copy()
    with pytest.raises(ValueError, match="read-only"):
        sampler(row, stages=[Careless()]).sample(row)
    np.testing.assert_array_equal(row, ROW)
