"""One request's tokens: reproducible by seed, steerable by hand, fair."""

import contextlib
import warnings
from typing import Any

import numpy as np
import pytest

from glasschat.errors import ReplyFailed
from glasschat.sampling import MinNewTokens, NoRepeatNGram
from tests.sampling.choosing import OFF, ROW, SETTINGS, sampler, told
from tests.sampling.rows import make_row, softmax


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


def test_a_forced_token_joins_the_history_and_its_draw_goes_by() -> None:
    """So the draws after it are those of the reply in which nothing was forced."""
    plain, steered = sampler(ROW), sampler(ROW)
    draws = [told(plain.sample(ROW)).u for _ in range(3)]
    assert told(steered.sample(ROW)).u == draws[0]
    forced = steered.force(ROW, 400)
    assert forced.token_id == 400
    assert (told(forced).forced, told(forced).u) == (True, None)
    assert steered.history.output_ids.tolist()[1:] == [400]
    assert told(steered.sample(ROW)).u == draws[2]


@pytest.mark.parametrize("settings", [*SETTINGS, {"do_sample": False}])
def test_a_reply_goes_on_as_if_it_had_never_been_cut(settings: dict[str, Any]) -> None:
    """The earlier part is reply, not prompt: for penalties, for lengths, for the draws."""
    whole = sampler(ROW, **settings)
    chosen = [whole.sample(ROW) for _ in range(8)]
    for cut in range(1, 8):
        earlier = [choice.token_id for choice in chosen[:cut]]
        rest = sampler(ROW, reply_ids=earlier, **settings)
        assert rest.history.output_length == cut
        for choice in chosen[cut:]:
            record = told(rest.sample(ROW))
            assert (record.token_id, record.u) == (choice.token_id, told(choice).u)
            assert record.probability == told(choice).probability


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


@pytest.mark.parametrize("trace", [True, False])
@pytest.mark.parametrize("top_k", [0, 500])
def test_what_a_processor_touches_is_looked_for_once_a_step(
    monkeypatch: pytest.MonkeyPatch, trace: bool, top_k: int
) -> None:
    """To look for repeated runs in a long text takes time, on whichever way the row goes."""
    asked: list[str] = []
    for stage in (NoRepeatNGram, MinNewTokens):

        def counted(self: Any, context: Any, touched: Any = stage.touched) -> Any:
            asked.append(self.name)
            return touched(self, context)

        monkeypatch.setattr(stage, "touched", counted)
    chooser = sampler(ROW, trace=trace, no_repeat_ngram_size=2, min_new_tokens=9, top_k=top_k)
    for _ in range(3):
        asked.clear()
        chooser.sample(ROW)
        assert sorted(asked) == ["min_new_tokens", "no_repeat_ngram_size"]


def test_what_overflows_is_no_warning_whoever_samples() -> None:
    """A page that asks what-if has no thread of the engine's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for settings in ({"repetition_penalty": 1e-38}, {"temperature": 1e-30}):
            for row in (ROW, ROW * np.float32(1e37)):
                chooser = sampler(row, reply_ids=[5], **settings)
                with contextlib.suppress(ReplyFailed):
                    chooser.sample(row)
                with contextlib.suppress(ReplyFailed):
                    chooser.force(row, 3)
