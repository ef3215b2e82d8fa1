"""The stages over a record are the stages over the row: equal, or said not to be certain."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from glasschat.errors import ReplyFailed
from glasschat.glass.candidates import CandidateSet
from glasschat.glass.choosing import UNLISTED, choose
from glasschat.glass.rebuild import rebuild
from glasschat.sampling import SamplingParams
from tests.glass.recordings import RECORDINGS, SETTINGS, Recording, record, speaking_row
from tests.sampling.rows import Row, softmax
from tests.support.examples import examples


def assert_candidates_are_true(
    candidates: CandidateSet, place: int, truth: Row, listed: set[int], *, exactly: bool = True
) -> None:
    ids, scores = candidates.ids[place], candidates.scores[place]
    left = {int(i) for i, s in zip(ids, scores, strict=True) if s > -np.inf}
    if candidates.certain[place]:
        alive = set(np.flatnonzero(truth > -np.inf).tolist())
        assert left == alive & listed
        for token_id, score in zip(ids.tolist(), scores, strict=True):
            near = pytest.approx(truth[token_id], rel=1e-5)
            same = score == (truth[token_id] if exactly else near)
            assert token_id < 0 or same, "the very same float32"
    others = np.array(sorted(set(range(len(truth))) - listed), np.int64)
    gone = np.count_nonzero(truth[others] > -np.inf)
    assert gone <= candidates.tail.count[place]
    if gone:
        assert truth[others].max() <= candidates.tail.ceiling[place]
    certain = {int(i) for i in ids[(scores > -np.inf) & ~candidates.uncertain[place]]}
    assert certain <= {i for i in listed if truth[i] > -np.inf} <= left
    if left and not candidates.unknown[place]:
        wide = truth.astype(np.float64)
        total = np.exp(wide - candidates.top[place]).sum()
        low, high = (bound[place] for bound in candidates.total_bounds)
        assert low * (1 - 1e-6) <= total <= high * (1 + 1e-6)


@given(RECORDINGS)
@settings(max_examples=examples(300))
def test_the_settings_of_the_reply_give_what_the_sampler_had(recording: Recording) -> None:
    trace = recording.trace
    rebuilt = rebuild(trace)
    chosen = choose(rebuilt.final, None if trace.params.greedy else trace.draws)
    assert rebuilt.recorded_count == len(rebuilt.stages)
    for place in range(len(trace)):
        listed = {i for i in trace.columns.ids[place].tolist() if i >= 0}
        truth = recording.stage_rows(trace.params, place)
        for candidates, row in zip(rebuilt.candidate_sets, truth, strict=True):
            assert_candidates_are_true(candidates, place, row, listed)
        token_id = trace.token_ids[place]
        if chosen.certain[place]:
            assert chosen.token_id[place] == (token_id if token_id in listed else UNLISTED)
        if chosen.certain[place] and token_id in listed:
            expected = trace.columns.probability[place]
            assert chosen.probability[place] == pytest.approx(expected, rel=1e-5)


@given(RECORDINGS, SETTINGS)
@settings(max_examples=examples(400))
def test_other_settings_give_what_the_row_gives_or_say_that_they_may_not(
    recording: Recording, other: dict[str, Any]
) -> None:
    trace = recording.trace
    params = SamplingParams(**other)
    rebuilt = rebuild(trace, params)
    chosen = choose(rebuilt.final, None if params.greedy else trace.draws)
    for place in range(len(trace)):
        listed = {i for i in trace.columns.ids[place].tolist() if i >= 0}
        try:
            truth = recording.stage_rows(params, place)
            token_id = recording.choice(params, place)
        except ReplyFailed:
            continue
        for candidates, row in zip(rebuilt.candidate_sets, truth, strict=True):
            assert_candidates_are_true(candidates, place, row, listed)
        if chosen.certain[place]:
            assert chosen.token_id[place] == (token_id if token_id in listed else UNLISTED)


@pytest.mark.parametrize(
    "other",
    [
        {"top_p": 0.5},
        {"top_p": 0.95},
        {"top_k": 40},
        {"temperature": 0.5},
        {"temperature": 0.9},
        {"repetition_penalty": 1.2},
        {"min_p": 0.1, "top_p": 1.0},
        {"temperature": 0.0},
        {"frequency_penalty": 0.3},
        {"no_repeat_ngram_size": 3},
        {"typical_p": 0.9},
    ],
)
def test_hardly_a_choice_is_left_open_where_a_model_would_speak(other: dict[str, Any]) -> None:
    """Rows with a few good candidates and a long tail, as those of a language model."""
    rows = [speaking_row(seed) for seed in range(60)]
    trace = record(rows, SamplingParams(seed=1)).trace
    params = SamplingParams(**{"seed": 1} | other)
    chosen = choose(rebuild(trace, params).final, None if params.greedy else trace.draws)
    assert np.count_nonzero(chosen.certain) >= 57
    assert softmax(rows[0]).max() < 0.9, "the rows leave something to draw"


def test_behind_a_record_of_other_stages_nothing_is_known() -> None:
    """Its numbers say how many candidates each stage left, and not which."""
    trace = record([speaking_row(1)], SamplingParams(seed=1)).trace
    columns = replace(trace.columns, stages=("grammar", *trace.columns.stages[1:]))
    rebuilt = rebuild(replace(trace, columns=columns))
    assert all(candidates.unknown.all() for candidates in rebuilt.candidate_sets[1:])
    assert rebuilt.recorded_count == 0
    assert not choose(rebuilt.final, trace.draws).certain.any()
