"""The numbers of a heat map are those of the whole rows."""

import numpy as np
import pytest
from hypothesis import given

from glasschat.glass import values
from glasschat.sampling import SamplingParams
from tests.glass.recordings import RECORDINGS, Recording, record, speaking_row
from tests.sampling.rows import softmax


@given(RECORDINGS)
def test_values_are_those_of_the_whole_row(recording: Recording) -> None:
    trace = recording.trace
    found = values(trace)
    for place, token_id in enumerate(trace.token_ids):
        share = softmax(recording.rows[place])
        assert found.probability[place] == pytest.approx(share[token_id], rel=1e-4, abs=1e-30)
        some = share[share > 0]
        entropy = -(some * np.log2(some)).sum()
        assert found.entropy[place] == pytest.approx(entropy, rel=1e-5, abs=1e-5)
        if share[token_id] > 0:
            assert found.surprise[place] == pytest.approx(-np.log2(share[token_id]), abs=1e-4)
        last = recording.stage_rows(trace.params, place)[-1]
        drawn = softmax(last)
        if trace.params.greedy:
            drawn = np.zeros_like(drawn)
            drawn[last.argmax()] = 1.0
        change = np.abs(drawn - share).sum() / 2
        if found.exact[place]:
            assert found.change[place] == pytest.approx(change, abs=0.006)
        if np.isnan(found.change[place]):
            # A record does not tell which tokens are DRY's sequence breakers.
            assert trace.params.dry_multiplier and trace.params.dry_sequence_breakers
            assert not found.exact[place]
        else:
            assert 0 <= found.change[place] <= 1


def test_what_is_not_recorded_one_by_one_hardly_matters_where_a_model_would_speak() -> None:
    rows = [speaking_row(seed) for seed in range(60)]
    found = values(record(rows, SamplingParams(seed=1)).trace)
    assert found.exact.sum() >= 58
