"""Whoever moves from transformers' generate() gets the same candidates from the same settings.

Everything but three cuts is compared bit for bit. Top-p, min-p and typical-p compare float32
probabilities against a bound, and torch's exp and sums differ from NumPy's in the last digits;
so a token may fall on the other side if its comparison is within `ROUNDING` of equality, and
only then. The tests say so by asking transformers at settings moved by that much to either side:
ours must lie between. Where both answers agree, as nearly always, ours is exactly theirs.

`ROUNDING` is 1e-6: a float32 softmax summed in ascending order, as top-p does, is off by at most
about 2e-7 at 128,256 tokens. Typical-p sums in another order and is granted torch's own error on
the row at hand, measured against float64.
"""

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers.generation import logits_process as hf

from glasschat.sampling import (
    SamplingParams,
    StageContext,
    TokenHistory,
    build_stages,
)
from glasschat.sampling.processors import (
    apply_logit_bias,
    apply_min_length,
    apply_no_repeat_ngram,
    apply_repetition_penalty,
)
from glasschat.sampling.typical import apply_typical_p
from glasschat.sampling.warpers import apply_min_p, apply_temperature, apply_top_k, apply_top_p
from tests.sampling.rows import Row, alive, rows, softmax
from tests.support.examples import examples

ROUNDING = 1e-6


def theirs(processor: Any, row: Row, ids: list[int] | None = None) -> Row:
    """What a class of transformers makes of the row."""
    scores = torch.from_numpy(row.copy())[None]
    result: Row = processor(torch.tensor([ids or [0]]), scores)[0].numpy()
    return result


def some_ids(size: int, seed: int, count: int) -> list[int]:
    # Few distinct ones, so that they repeat; and now and then one beyond the row.
    random = np.random.default_rng(seed)
    return [int(i) for i in random.integers(0, min(size + 1, 12), count)]


@given(rows(), st.floats(1e-3, 100.0))
def test_temperature_divides_as_transformers_does(row: Row, temperature: float) -> None:
    ours = apply_temperature(row, temperature)
    np.testing.assert_array_equal(ours, theirs(hf.TemperatureLogitsWarper(temperature), row))


@given(rows(), st.one_of(st.integers(1, 80), st.integers(1, 20_000)))
def test_top_k_keeps_the_same_tokens_with_all_ties(row: Row, k: int) -> None:
    np.testing.assert_array_equal(apply_top_k(row, k), theirs(hf.TopKLogitsWarper(k), row))


def assert_is_their_top_p(ours: Row, row: Row, p: float) -> None:
    bounds = (max(0.0, p - ROUNDING), min(1.0, p + ROUNDING))
    low, high = (theirs(hf.TopPLogitsWarper(b), row) for b in bounds)
    kept = alive(ours)
    assert len(alive(low)) <= len(kept) <= max(1, len(alive(high)))
    # Of equal scores at the cut torch's sort, which is not stable, picks by its own lights: the
    # values must be the likeliest ones, and which of equals stay is tested as our own promise.
    np.testing.assert_array_equal(np.sort(row[kept]), np.sort(row)[len(row) - len(kept) :])
    np.testing.assert_array_equal(ours[kept], row[kept])


@given(rows(), st.one_of(st.floats(0.0, 1.0), st.sampled_from([0.0, 0.25, 0.5, 0.8, 0.95, 0.9999])))
def test_top_p_keeps_the_same_tokens_with_the_crossing_one(row: Row, p: float) -> None:
    assert_is_their_top_p(apply_top_p(row, p), row, p)


@pytest.mark.parametrize("size", [4, 8, 32, 1024, 8192])
@pytest.mark.parametrize("p", [0.25, 0.5, 0.75])
def test_top_p_agrees_where_a_sum_meets_p_exactly(size: int, p: float) -> None:
    """Four equal tokens at p = 0.5 are two tokens, not three: no rounding excuses that."""
    even = np.zeros(size, np.float32)
    assert len(alive(apply_top_p(even, p))) == len(alive(theirs(hf.TopPLogitsWarper(p), even)))


def assert_is_their_min_p(ours: Row, row: Row, p: float) -> None:
    strict = theirs(hf.MinPLogitsWarper(min(1.0, p * (1 + ROUNDING))), row)
    loose = theirs(hf.MinPLogitsWarper(p * (1 - ROUNDING)), row)
    kept = set(alive(ours).tolist())
    assert set(alive(strict).tolist()) - kept <= equals_of_the_best(row)
    assert kept <= set(alive(loose).tolist())
    np.testing.assert_array_equal(ours[alive(ours)], row[alive(ours)])


def equals_of_the_best(row: Row) -> set[int]:
    """Scores within a last digit of the best, whose probabilities round to the same float32."""
    return set(np.flatnonzero(row >= row.max() - 1e-6 * (1 + abs(row.max()))).tolist())


@given(rows(), st.one_of(st.floats(1e-6, 1.0), st.sampled_from([1e-30, 0.05, 0.5, 1.0])))
def test_min_p_keeps_the_same_tokens(row: Row, p: float) -> None:
    assert_is_their_min_p(apply_min_p(row, p), row, p)


def torch_errors(row: Row) -> tuple[float, float]:
    """How far float32 leads torch astray on this row: in cumulative mass, and in distance.

    torch adds up an unsorted row in plain float32: at 128,256 tokens its probabilities are off
    by up to 4e-5 of themselves (NumPy's pairwise sums here: 1e-7). Typical-p sums in an order of
    its own, so unlike top-p it suffers from that. What is granted is this very row's error.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(softmax(row))
    finite = np.isfinite(surprise)
    exact = np.abs(surprise - np.sum(softmax(row)[finite] * surprise[finite]))
    logs = torch.log_softmax(torch.from_numpy(row), -1)
    distance = torch.abs(-logs + (logs * logs.exp()).nansum()).double().numpy()
    order = np.argsort(exact, kind="stable")
    sums = torch.from_numpy(row[order]).softmax(-1).double().cumsum(-1).numpy()
    mass_error = float(np.abs(sums - np.cumsum(softmax(row)[order])).max())
    return mass_error, float(np.abs(distance[finite] - exact[finite]).max())


def assert_is_their_typical_p(ours: Row, row: Row, mass: float) -> None:
    mass_error, distance_error = torch_errors(row)
    doubt = mass_error + ROUNDING
    bounds = (max(1e-9, mass - doubt), min(1 - 1e-9, mass + doubt))
    low, high = (alive(theirs(hf.TypicalLogitsWarper(b), row)) for b in bounds)
    with np.errstate(divide="ignore", invalid="ignore"):
        surprise = -np.log(softmax(row))
    finite = np.isfinite(surprise)
    distance = np.full(len(row), np.inf)
    entropy = np.sum(softmax(row)[finite] * surprise[finite])
    distance[finite] = np.abs(surprise[finite] - entropy)
    # Both sides of a comparison may err: twice theirs, and twice ours in the last digits.
    slack = 2 * distance_error + 4 * np.finfo(np.float32).eps * (1 + surprise[finite].max())
    kept = np.isin(np.arange(len(row)), alive(ours))
    assert kept.any()
    assert kept[distance < distance[low].max() - slack].all()
    assert not kept[distance > distance[high].max() + slack].any()
    np.testing.assert_array_equal(ours[kept], row[kept])


@given(rows(), st.one_of(st.floats(1e-3, 0.999), st.sampled_from([0.001, 0.2, 0.5, 0.95, 0.999])))
def test_typical_p_keeps_the_same_tokens(row: Row, mass: float) -> None:
    assert_is_their_typical_p(apply_typical_p(row, mass), row, mass)


@given(rows(), st.integers(0, 2**32), st.integers(1, 60), st.floats(0.01, 100.0))
def test_repetition_penalty_weakens_the_same_tokens(
    row: Row, seed: int, count: int, penalty: float
) -> None:
    ids = some_ids(len(row), seed, count)
    ours = apply_repetition_penalty(row, TokenHistory(ids).seen, penalty)
    expected = theirs(hf.RepetitionPenaltyLogitsProcessor(penalty), row, ids)
    np.testing.assert_array_equal(ours, expected)


@given(rows(2500), st.integers(0, 2**32), st.integers(1, 60), st.integers(1, 8))
def test_the_same_runs_of_tokens_are_never_repeated(
    row: Row, seed: int, count: int, size: int
) -> None:
    ids = some_ids(len(row), seed, count)
    ours = apply_no_repeat_ngram(row, np.array(ids), size)
    expected = theirs(hf.NoRepeatNGramLogitsProcessor(size), row, ids)
    np.testing.assert_array_equal(ours, expected)


@given(rows(2500), st.sets(st.integers(0, 40), min_size=1))
def test_a_minimum_length_suppresses_the_same_tokens(row: Row, end_ids: set[int]) -> None:
    ours = apply_min_length(row, end_ids)
    expected = theirs(hf.MinNewTokensLengthLogitsProcessor(1, 1, list(end_ids)), row, [0])
    np.testing.assert_array_equal(ours, expected)


@given(rows(2500), st.data())
def test_a_logit_bias_is_added_as_transformers_adds_it(row: Row, data: st.DataObject) -> None:
    inside = st.integers(0, len(row) - 1)
    bias = data.draw(
        st.dictionaries(inside, st.one_of(st.floats(-100, 100), st.just(-np.inf)), min_size=1)
    )
    ours = apply_logit_bias(row, np.array(list(bias)), np.array(list(bias.values()), np.float32))
    expected = theirs(hf.SequenceBiasLogitsProcessor({(i,): b for i, b in bias.items()}), row)
    np.testing.assert_array_equal(ours, expected)


def their_list(params: SamplingParams, prompt_length: int, end_ids: list[int]) -> list[Any]:
    """transformers' classes for these settings, in its order, where they do anything."""
    bias = {(i,): b for i, b in params.logit_bias.items()}
    minimum = params.min_new_tokens
    wanted = [
        hf.SequenceBiasLogitsProcessor(bias) if bias else None,
        hf.RepetitionPenaltyLogitsProcessor(params.repetition_penalty),
        hf.NoRepeatNGramLogitsProcessor(params.no_repeat_ngram_size)
        if params.no_repeat_ngram_size
        else None,
        hf.MinNewTokensLengthLogitsProcessor(prompt_length, minimum, end_ids) if minimum else None,
        hf.TemperatureLogitsWarper(params.temperature),
        hf.TopKLogitsWarper(params.top_k) if params.top_k else None,
        hf.TopPLogitsWarper(params.top_p),
        hf.MinPLogitsWarper(params.min_p) if params.min_p else None,
        hf.TypicalLogitsWarper(params.typical_p),
    ]
    return [w for w in wanted if w is not None]


BOUNDED_CUTS = {
    "top_p": (assert_is_their_top_p, "top_p"),
    "min_p": (assert_is_their_min_p, "min_p"),
    "typical_p": (assert_is_their_typical_p, "typical_p"),
}


@settings(max_examples=examples(200))
@given(
    row=rows().filter(lambda row: len(row) >= 30),
    seed=st.integers(0, 2**32),
    params=st.builds(
        SamplingParams,
        # Neutral settings are left out here, so that both lists have the same length.
        repetition_penalty=st.floats(1.001, 2.0),
        no_repeat_ngram_size=st.sampled_from([0, 2, 3]),
        logit_bias=st.dictionaries(st.integers(0, 29), st.floats(-5, 5), max_size=3),
        min_new_tokens=st.sampled_from([0, 20]),
        temperature=st.floats(0.1, 0.99),
        top_k=st.sampled_from([0, 5, 50, 1000]),
        top_p=st.floats(0.05, 0.999),
        min_p=st.sampled_from([0.0, 0.01, 0.2]),
        typical_p=st.floats(0.1, 0.99),
    ),
)
def test_the_whole_pipeline_leaves_the_row_that_transformers_leaves(
    row: Row, seed: int, params: SamplingParams
) -> None:
    """Walked in step: equal rows go into both lists' next stage, so what comes out at the end is
    what transformers' whole list gives. Where a cut differs by rounding, or by which of equal
    scores torch's sort put first, both go on from ours."""
    prompt, reply, end_ids = some_ids(30, seed, 20), some_ids(30, seed + 1, 9), [1, 29]
    history = TokenHistory(prompt)
    for token_id in reply:
        history.append(token_id)
    context = StageContext(history, frozenset(end_ids))
    stages, processors = build_stages(params), their_list(params, len(prompt), end_ids)
    assert len(stages) == len(processors)
    scores = row
    for stage, processor in zip(stages, processors, strict=True):
        ours, expected = stage(scores, context), theirs(processor, scores, prompt + reply)
        if not np.array_equal(ours, expected):
            assert stage.name in BOUNDED_CUTS, stage.name
            compare, setting = BOUNDED_CUTS[stage.name]
            compare(ours, scores, getattr(params, setting))
        if not len(alive(ours)):
            return
        scores = ours


@pytest.mark.parametrize("size", [49_152, 128_256])
def test_real_vocabularies_are_cut_at_the_same_token(size: int) -> None:
    for seed in range(5):
        random = np.random.default_rng(seed)
        row = (random.normal(size=size) * 2.5).astype(np.float32)
        row[random.integers(0, size, 30)] += np.linspace(3, 15, 30).astype(np.float32)
        for p in (0.5, 0.8, 0.95, 0.999):
            assert_is_their_top_p(apply_top_p(row, p), row, p)
        np.testing.assert_array_equal(apply_top_k(row, 40), theirs(hf.TopKLogitsWarper(40), row))
        assert_is_their_min_p(apply_min_p(row, 0.02), row, 0.02)
        assert_is_their_typical_p(apply_typical_p(row, 0.9), row, 0.9)
