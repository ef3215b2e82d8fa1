"""Stages are pure and in the order asked for: what a record says can be replayed and believed."""

import copy
from collections import Counter
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.sampling import (
    DEFAULT_ORDER,
    Distribution,
    SamplingParams,
    Stage,
    StageContext,
    TokenHistory,
    build_stages,
)
from glasschat.sampling.processors import apply_frequency_penalty, apply_presence_penalty
from glasschat.sampling.typical import apply_typical_p
from glasschat.sampling.warpers import apply_min_p, apply_temperature, apply_top_k, apply_top_p
from tests.sampling.rows import Row, alive, make_row, rows

EVERYTHING = SamplingParams(
    logit_bias={0: 1.0, 2: -1.0},
    repetition_penalty=1.1,
    presence_penalty=0.5,
    frequency_penalty=0.25,
    dry_multiplier=0.8,
    no_repeat_ngram_size=2,
    min_new_tokens=10,
    temperature=0.7,
    top_n_sigma=3.0,
    top_k=20,
    top_p=0.9,
    min_p=0.01,
    typical_p=0.9,
    xtc_probability=0.5,
    xtc_threshold=0.05,
)


def context_of(prompt: list[int], reply: list[int], end_ids: frozenset[int]) -> StageContext:
    history = TokenHistory(prompt)
    for token_id in reply:
        history.append(token_id)
    return StageContext(history, end_ids)


IDS = st.lists(st.integers(0, 40), max_size=30)


@given(rows(2500), IDS, IDS, st.permutations(DEFAULT_ORDER))
def test_no_stage_writes_to_its_input_or_remembers_anything(
    row: Row, prompt: list[int], reply: list[int], order: list[str]
) -> None:
    """A replay in the same order, with a fresh context for every stage, gives the same rows."""
    params = replace(EVERYTHING, no_repeat_ngram_size=0, min_new_tokens=0, stages=tuple(order))
    shared = context_of(prompt, reply, frozenset({1}))
    for stage in build_stages(params):
        before = row.copy()
        row.flags.writeable = False
        after = stage(row, shared)
        again = stage(before, context_of(prompt, reply, frozenset({1})))
        np.testing.assert_array_equal(row, before)
        np.testing.assert_array_equal(after, again)
        assert after.dtype == np.float32
        assert len(alive(after)) >= 1
        row = after


@given(
    rows(),
    st.integers(1, 3000),
    st.floats(0, 1),
    st.floats(1e-6, 1),
    st.floats(1e-6, 0.999999),
)
def test_a_cut_leaves_at_least_one_token_and_changes_none_that_it_leaves(
    row: Row, k: int, p: float, least: float, mass: float
) -> None:
    for after in (
        apply_top_k(row, k),
        apply_top_p(row, p),
        apply_min_p(row, least),
        apply_typical_p(row, mass),
    ):
        kept = alive(after)
        assert len(kept) >= 1
        np.testing.assert_array_equal(after[kept], row[kept])


@given(rows())
def test_a_distribution_handed_in_changes_nothing(row: Row) -> None:
    whole = Distribution(row)
    np.testing.assert_array_equal(apply_top_k(row, 9, whole), apply_top_k(row, 9))
    np.testing.assert_array_equal(apply_top_p(row, 0.7, whole), apply_top_p(row, 0.7))
    np.testing.assert_array_equal(apply_min_p(row, 0.1, whole), apply_min_p(row, 0.1))
    np.testing.assert_array_equal(apply_typical_p(row, 0.7, whole), apply_typical_p(row, 0.7))


def test_of_equal_tokens_at_the_cut_of_top_p_the_higher_ids_stay() -> None:
    """Fixed, so that a page, a test and a replay agree on any machine."""
    row = np.zeros(200, np.float32)
    row[[3, 50]] = 9.0
    assert alive(apply_top_p(row, 0.1)).tolist() == [50]
    assert alive(apply_top_p(np.zeros(8, np.float32), 0.5)).tolist() == [4, 5, 6, 7]


@given(rows(520), st.lists(st.integers(0, 600), max_size=40), st.floats(-2, 2))
def test_openai_penalties_count_the_reply_alone(row: Row, reply: list[int], size: float) -> None:
    """mu[j] - c[j] * frequency - (c[j] > 0) * presence, as OpenAI's reference states it."""
    history = context_of([0, 1, 2], reply, frozenset()).history
    once, counted = row.copy(), row.copy()
    for token_id, count in Counter(reply).items():
        if token_id < len(row):
            once[token_id] -= np.float32(size)
            counted[token_id] -= np.float32(count * size)
    ours = apply_presence_penalty(row, history.output_seen, size)
    np.testing.assert_array_equal(ours, once)
    ours = apply_frequency_penalty(row, history.output_seen, history.output_counts, size)
    np.testing.assert_array_equal(ours, counted)


def test_a_temperature_too_small_for_float32_warns_nobody() -> None:
    with np.errstate(all="raise"):
        assert np.isinf(apply_temperature(np.array([5, -5], np.float32), 1e-39)).all()


def test_the_stages_run_in_the_order_asked_for() -> None:
    assert tuple(s.name for s in build_stages(EVERYTHING)) == DEFAULT_ORDER
    turned = replace(EVERYTHING, stages=DEFAULT_ORDER[::-1])
    assert tuple(s.name for s in build_stages(turned)) == DEFAULT_ORDER[::-1]


def test_a_stage_that_would_do_nothing_is_left_out() -> None:
    assert [s.name for s in build_stages(SamplingParams())] == [
        "repetition_penalty",
        "temperature",
        "top_p",
    ]
    assert build_stages(SamplingParams(temperature=1, top_p=1, repetition_penalty=1)) == ()


@pytest.mark.parametrize("greedy", [{"temperature": 0.0}, {"do_sample": False}])
def test_a_greedy_reply_keeps_its_processors_and_no_warper(greedy: dict[str, Any]) -> None:
    kinds = {s.name: s.kind for s in build_stages(replace(EVERYTHING, **greedy))}
    assert set(kinds.values()) == {"processor"}
    assert len(kinds) == 7


def test_every_built_in_stage_is_one_that_a_user_could_have_written() -> None:
    for stage in build_stages(EVERYTHING):
        assert isinstance(stage, Stage)
        assert stage.kind in ("processor", "warper")
        assert stage == copy.copy(stage)


def banned(params: SamplingParams, reply: list[int]) -> list[int]:
    row = np.zeros(10, np.float32)
    context = context_of([1], reply, frozenset({2, 3}))
    for stage in build_stages(params):
        row = stage(row, context)
    return np.flatnonzero(row == -np.inf).tolist()


def test_a_reply_neither_ends_nor_stops_before_its_minimum() -> None:
    off: dict[str, Any] = {"temperature": 1, "top_p": 1, "repetition_penalty": 1}
    params = SamplingParams(min_new_tokens=2, stop_token_ids=(5,), **off)
    assert banned(params, [9]) == [2, 3, 5]
    assert banned(params, [9, 9]) == []


def test_ignoring_the_end_holds_for_the_whole_reply_but_stop_tokens_still_stop() -> None:
    off: dict[str, Any] = {"temperature": 1, "top_p": 1, "repetition_penalty": 1}
    params = SamplingParams(ignore_eos=True, stop_token_ids=(5,), **off)
    assert banned(params, [9] * 50) == [2, 3]
    both = SamplingParams(ignore_eos=True, min_new_tokens=2, stop_token_ids=(5,), **off)
    assert banned(both, [9]) == [2, 3, 5]
    assert banned(both, [9, 9]) == [2, 3]


def test_two_stages_share_a_softmax_only_of_the_very_same_row() -> None:
    context = context_of([], [], frozenset())
    row = make_row(1, 130, "normal", 1.0, 0.0)
    assert context.distribution(row) is context.distribution(row)
    assert context.distribution(row) is not context.distribution(row.copy())
