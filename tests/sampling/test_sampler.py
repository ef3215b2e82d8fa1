"""One request's tokens: reproducible by seed, explained by its records, failing in plain words."""

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import ParameterError, ReplyFailed
from glasschat.sampling import Choice, Sampler, SamplingParams, StageContext, StageKind, StepRecord
from tests.sampling.rows import Row, alive, make_row, rows, softmax

OFF: dict[str, Any] = {"temperature": 1, "top_p": 1, "repetition_penalty": 1}
SETTINGS: list[dict[str, Any]] = [
    {},
    OFF,
    {"top_k": 1},
    {"top_p": 0.0},
    {"temperature": 0.01, "min_p": 0.5},
    {"temperature": 100.0, "top_p": 1.0},
    {"presence_penalty": 2, "frequency_penalty": 2, "no_repeat_ngram_size": 2, "typical_p": 0.5},
]


def sampler(row: Row, *, trace: bool = True, stages: Any = None, **params: Any) -> Sampler:
    return Sampler(
        SamplingParams(**{"seed": 11} | params),
        [1, 0, 1],
        end_ids=[0],
        vocab_size=len(row),
        trace=trace,
        stages=stages,
    )


def told(choice: Choice) -> StepRecord:
    assert choice.record is not None
    return choice.record


ROW = make_row(3, 520, "peaked", 2.0, 0.0)


@pytest.mark.parametrize("settings", SETTINGS)
def test_each_sampled_token_takes_one_draw_whatever_the_settings(settings: dict[str, Any]) -> None:
    """Even one survivor takes its draw: otherwise a setting would shift all later tokens."""
    chooser = sampler(ROW, **settings)
    draws = [told(chooser.sample(ROW)).u for _ in range(5)]
    assert draws == np.random.Generator(np.random.PCG64(11)).random(5).tolist()


@pytest.mark.parametrize("settings", SETTINGS)
@pytest.mark.parametrize("size", [6, 30, 9000])
def test_the_same_seed_gives_the_same_tokens_with_traces_and_without(
    settings: dict[str, Any], size: int
) -> None:
    row = make_row(5, size, "normal", 1.0, 0.0)
    replies = []
    for trace in (True, False, True):
        chooser = sampler(row, trace=trace, **settings)
        replies.append([chooser.sample(row).token_id for _ in range(4)])
        assert chooser.history.output_ids.tolist() == replies[-1]
    assert replies[0] == replies[1] == replies[2]


def test_another_seed_gives_other_tokens() -> None:
    row = np.zeros(520, np.float32)
    replies = {tuple(sampler(row, seed=s, **OFF).sample(row)[:1]) for s in range(20)}
    assert len(replies) > 10


def test_a_reply_without_a_seed_can_be_had_again_from_the_seed_that_it_shows() -> None:
    first = sampler(ROW, seed=None)
    second = sampler(ROW, seed=None)
    assert first.seed != second.seed
    assert first.seed < 2**53  # what a script on a page reads exactly
    tokens = [first.sample(ROW).token_id for _ in range(20)]
    again = sampler(ROW, seed=first.seed)
    assert [again.sample(ROW).token_id for _ in range(20)] == tokens


def test_the_whole_range_of_seeds_is_taken() -> None:
    for seed in (0, 2**64 - 1):
        assert sampler(ROW, seed=seed).seed == seed


@pytest.mark.parametrize("greedy", [{"temperature": 0}, {"do_sample": False}])
def test_a_greedy_reply_takes_the_likeliest_after_penalties_and_no_draw(
    greedy: dict[str, Any],
) -> None:
    row = np.array([0.0, 3.0, 2.9, 2.9], np.float32)
    choice = sampler(row, repetition_penalty=1.5, top_k=1, **greedy).sample(row)
    assert choice.token_id == 2  # 1 was in the prompt; of equals the lower id
    assert told(choice).u is None
    assert not told(choice).forced
    assert [s.name for s in told(choice).stages] == ["repetition_penalty"]
    assert told(choice).probability == pytest.approx(softmax(np.array([0, 2, 2.9, 2.9]))[2])


def test_many_draws_follow_the_distribution_that_the_settings_describe() -> None:
    """20,000 tokens from top-k 6 at temperature 0.7; 20.5 is passed once in a thousand (5)."""
    row = make_row(2, 30, "normal", 1.0, 0.0)
    chooser = sampler(row, trace=False, temperature=0.7, top_p=1, repetition_penalty=1, top_k=6)
    counts = np.bincount([chooser.sample(row).token_id for _ in range(20_000)], minlength=30)
    kept = np.argsort(-row)[:6]
    assert counts.sum() == counts[kept].sum()
    expected = 20_000 * softmax(row[kept] / np.float32(0.7))
    assert ((counts[kept] - expected) ** 2 / expected).sum() < 20.5


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("settings", SETTINGS)
def test_the_row_belongs_to_the_model_and_is_never_written_to(
    settings: dict[str, Any], trace: bool
) -> None:
    row = ROW.copy()
    sampler(row, trace=trace, **settings).sample(row)
    np.testing.assert_array_equal(row, ROW)
    assert row.flags.writeable
    row.flags.writeable = False
    sampler(row, trace=trace, **settings).sample(row)


def assert_record_is_true(record: StepRecord, row: Row) -> None:
    wide = row.astype(np.float64)
    expected = wide.max() + np.log(np.exp(wide - wide.max()).sum())
    assert record.logsumexp == pytest.approx(expected, rel=1e-6, abs=1e-6)
    shares = softmax(row)[softmax(row) > 0]
    entropy = -(shares * np.log(shares)).sum()
    assert record.entropy == pytest.approx(entropy, rel=3e-6, abs=3e-6)
    order = sorted(alive(row).tolist(), key=lambda i: (-row[i], i))
    assert record.top_ids.tolist() == order[:64]
    assert record.top_ids.dtype == np.int32
    np.testing.assert_array_equal(record.top_logits, row[order[:64]])
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


PARAMS = st.fixed_dictionaries(
    {},
    optional={
        "temperature": st.floats(0.05, 3),
        "top_k": st.integers(0, 100),
        "top_p": st.floats(0, 1),
        "min_p": st.floats(0, 1),
        "typical_p": st.floats(0.01, 1),
        "repetition_penalty": st.floats(0.5, 2),
        "do_sample": st.booleans(),
        "seed": st.integers(0, 2**64 - 1),
    },
)


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
        left.append((stage.name, len(alive(scores)), softmax(before)[alive(scores)].sum()))
    choice = chooser.sample(row)
    record = told(choice)
    assert_record_is_true(record, row)
    assert record.token_id == choice.token_id
    assert not record.forced
    assert record.probability > 0
    assert record.probability == pytest.approx(softmax(scores)[choice.token_id], rel=1e-5)
    for found, (name, kept, mass) in zip(record.stages, left, strict=True):
        assert (found.name, found.kept) == (name, kept)
        assert found.mass == pytest.approx(mass, rel=1e-5)
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


def test_a_forced_token_joins_the_history_and_takes_no_draw() -> None:
    """So the draws after it are those that the seed would have given the next tokens anyway."""
    plain, steered = sampler(ROW), sampler(ROW)
    first = told(plain.sample(ROW))
    forced = steered.force(ROW, 400)
    assert forced.token_id == 400
    assert (told(forced).forced, told(forced).u) == (True, None)
    assert steered.history.output_ids.tolist() == [400]
    assert told(steered.sample(ROW)).u == first.u


def test_a_forced_token_that_the_stages_removed_has_probability_zero() -> None:
    record = told(sampler(ROW, top_k=1).force(ROW, int(ROW.argmin())))
    assert record.probability == 0.0


def test_a_token_can_be_forced_before_the_model_has_spoken() -> None:
    chooser = sampler(ROW)
    assert chooser.force(None, 7) == (7, None)
    assert chooser.history.output_ids.tolist() == [7]


def test_without_traces_there_is_no_record() -> None:
    chooser = sampler(ROW, trace=False)
    assert chooser.sample(ROW).record is None
    assert chooser.force(ROW, 3).record is None


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
