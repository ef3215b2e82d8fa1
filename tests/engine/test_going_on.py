"""A reply that is cut anywhere and continued is the reply that was never cut."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from glasschat.engine import Engine, FinishReason, Generation
from glasschat.engine.output_text import StopStrings
from glasschat.models.base import Logits
from glasschat.models.scripted import END, HEADER, HEADER_END, scripted_model
from glasschat.prompt import ChatMessage, PromptEncoding, Span
from glasschat.sampling import SamplingParams

PROMPT = PromptEncoding((*b"Hi", HEADER_END), (Span(0, 3, "template", None),))
TIMEOUT_S = 20
LENGTH = 40
# Few letters, so that penalties, n-grams and stop strings meet what they look for; a character of
# two bytes and one that is never whole; a token without text; an end that is rare.
LETTERS = sorted({*b"ab<", *"é".encode(), 0xE4, HEADER})


def babble(ids: Sequence[int]) -> Logits:
    """Scores that depend on the last two ids alone."""
    row = np.full(260, -30.0, np.float32)
    row[LETTERS] = np.random.default_rng(list(ids[-2:])).normal(0, 1.5, len(LETTERS))
    row[END] = 0.5
    return row


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with Engine(scripted_model(babble, slots=2)) as engine:
        yield engine


PARAMS = st.builds(
    SamplingParams,
    do_sample=st.booleans(),
    temperature=st.sampled_from([0.7, 1.0, 2.0]),
    top_p=st.sampled_from([0.8, 1.0]),
    repetition_penalty=st.sampled_from([1.0, 1.3]),
    presence_penalty=st.sampled_from([0.0, 1.0]),
    frequency_penalty=st.sampled_from([0.0, 0.7]),
    no_repeat_ngram_size=st.sampled_from([0, 3]),
    min_new_tokens=st.sampled_from([0, 4, 20]),
    ignore_eos=st.booleans(),
    stop=st.lists(st.text(alphabet="ab<é", min_size=2, max_size=4), max_size=3).map(tuple),
    max_length=st.just(len(PROMPT.ids) + LENGTH),
    seed=st.integers(0, 2**32),
)


def written(engine: Engine, prompt: PromptEncoding, params: SamplingParams) -> Generation:
    generation = engine.submit(prompt, params)
    generation.result(TIMEOUT_S)
    return generation


def chosen(generation: Generation) -> list[tuple[int, float | None]]:
    """Every token with its draw."""
    return [(s.token_id, s.record.u) for s in generation.steps() if s.record is not None]


@given(params=PARAMS, cuts=st.lists(st.integers(1, LENGTH - 1), min_size=1, max_size=3))
def test_cut_and_continued_is_uncut(
    engine: Engine, params: SamplingParams, cuts: list[int]
) -> None:
    """Same ids by the same draws, same ending, same text, wherever and however often it is cut."""
    whole = written(engine, PROMPT, params)
    prompt, text, tokens = PROMPT, "", []
    for cut in [*cuts, None]:
        part = written(engine, prompt, replace(params, max_new_tokens=cut))
        tokens += chosen(part)
        message = part.message()
        text += message.text
        if part.snapshot().finish_reason is FinishReason.STOP or len(tokens) == LENGTH:
            break
        assert message.ids is not None
        so_far = [*prompt.ids[len(PROMPT.ids) :], *message.ids]
        prompt = PROMPT.with_open_reply(1, so_far, text)
    assert tokens == chosen(whole)
    assert part.snapshot().finish_reason is whole.snapshot().finish_reason
    # What was shown at a cut and then proved to be the beginning of a stop string stays.
    more = text.removeprefix(whole.message().text)
    assert text == whole.message().text + more
    assert not more or any(stop.startswith(more) for stop in params.stop)


@pytest.mark.parametrize(
    ("min_new_tokens", "shown", "new", "reason"),
    [
        (0, "x<a", "", FinishReason.STOP),
        (0, "x<", "", FinishReason.STOP),
        (0, "x", "", FinishReason.STOP),
        (0, "", "x", FinishReason.STOP),
        # The third token is the first that may end the reply, so no stop string begins before it.
        (3, "x<a", "b<ab", FinishReason.LENGTH),
        (2, "x<a", "", FinishReason.STOP),
    ],
)
def test_a_stop_string_that_began_before_the_cut_ends_the_reply(
    min_new_tokens: int, shown: str, new: str, reason: FinishReason
) -> None:
    said = b"x<ab<ab"
    with Engine(scripted_model(lambda ids: said[len(ids) - 3])) as engine:
        params = SamplingParams(
            temperature=0.0, stop=("<ab<",), min_new_tokens=min_new_tokens, max_new_tokens=4
        )
        generation = written(engine, PROMPT.with_open_reply(1, b"x<a", shown), params)
        result = generation.snapshot()
        assert (result.text, result.finish_reason) == (new, reason)


def test_what_was_written_is_read_from_the_cache(engine: Engine) -> None:
    params = SamplingParams(seed=3, ignore_eos=True, max_new_tokens=10)
    ids = written(engine, PROMPT, params).message().ids
    assert ids is not None
    usage = written(engine, PROMPT.with_open_reply(1, ids, "…"), params).snapshot().usage
    assert (usage.prompt_tokens, usage.cached_tokens, usage.completion_tokens) == (13, 12, 10)


@pytest.mark.parametrize(
    ("ids", "shown", "then", "new"),
    [
        ([0xE4], "", [0xB8, 0xAD], "中"),
        ([*b"a", 0xE4, 0xB8], "a", [0xAD], "中"),
        ([0xE4], "", b"b", "�b"),
        ([*b"a", HEADER], "a", b"b", "b"),
        ([HEADER], "", b"b", "b"),
        # Whoever chose the first ids by hand may not know their text: it comes with the rest.
        ([*b"ab"], "a", b"c", "bc"),
        ([*b"ab"], "", b"c", "abc"),
        # Shown as no character before it was whole: it is said again rather than lost.
        ([0xE4], "�", [0xB8, 0xAD], "中"),
        # The text of the turn and its ids are not of one mind: ids are what the model reads.
        ([*b"ab"], "x", b"c", "c"),
    ],
)
def test_the_new_text_is_that_of_all_ids_without_what_was_shown(
    ids: list[int], shown: str, then: bytes, new: str
) -> None:
    said = [*then, END]
    start = len(PROMPT.ids) + len(ids)
    with Engine(scripted_model(lambda seen: said[len(seen) - start])) as engine:
        params = SamplingParams(temperature=0.0, repetition_penalty=1.0)
        generation = engine.submit(PROMPT.with_open_reply(1, ids, shown), params)
        assert "".join(generation.deltas()) == new
        assert generation.message() == ChatMessage("assistant", new, tuple(then))


def test_a_character_that_the_last_tokens_began_waits_for_the_rest_of_it() -> None:
    """Shown as U+FFFD it could not be taken back when the reply goes on."""
    with Engine(scripted_model("a中")) as engine:
        params = SamplingParams(temperature=0.0, max_new_tokens=2)
        cut = written(engine, PROMPT, params)
        assert cut.snapshot().text == cut.message().text == "a"
        assert cut.message().ids == (*b"a", 0xE4)


def test_a_reply_that_ended_by_itself_shows_what_never_became_a_character() -> None:
    said = [*b"a", 0xE4, END]
    with Engine(scripted_model(lambda ids: said[len(ids) - 3])) as engine:
        assert written(engine, PROMPT, SamplingParams(temperature=0.0)).message().text == "a�"


def test_a_limit_of_new_tokens_is_for_what_comes_now(engine: Engine) -> None:
    """Else a reply that was cut by it could never go on."""
    params = SamplingParams(seed=3, ignore_eos=True, max_new_tokens=5)
    prompt = PROMPT.with_open_reply(1, [97] * 5, "aaaaa")
    usage = written(engine, prompt, params).snapshot().usage
    assert usage.completion_tokens == 5


def test_an_end_that_was_chosen_by_hand_too_early_stays_in_the_reply() -> None:
    """It did not end the reply, so it is one of its tokens when the reply is cut behind it."""
    with Engine(scripted_model(lambda _ids: ord("a"))) as engine:
        generation = engine.submit(
            PROMPT, SamplingParams(temperature=0.0, min_new_tokens=9, max_new_tokens=300)
        )
        generation.pause()
        generation.force(END)
        generation.resume()
        generation.cancel()
        generation.wait_for_end(TIMEOUT_S)
        assert generation.message().ids == tuple(s.token_id for s in generation.steps())


@given(
    shown=st.text(alphabet="ab\n", max_size=8),
    deltas=st.lists(st.text(alphabet="ab\n", max_size=4), max_size=6),
    stops=st.lists(st.text(alphabet="ab\n", min_size=1, max_size=5), min_size=1, max_size=3),
)
@example(shown="a", deltas=["b"], stops=["ab"])
@example(shown="ab", deltas=["\n"], stops=["b", "aba"])
def test_a_stop_string_is_found_across_the_seam_and_never_before_it(
    shown: str, deltas: list[str], stops: list[str]
) -> None:
    """The first stop string that ends in new text, as a search in all of the text finds it."""
    scanner = StopStrings(stops, shown)
    new, stopped = "", False
    for delta in deltas:
        part, stopped = scanner.push(delta)
        new += part
        if stopped:
            break
    else:
        new += scanner.flush()
    text = shown + "".join(deltas)
    ends = [
        at + len(stop)
        for stop in stops
        for at in range(len(text))
        if text.startswith(stop, at) and at + len(stop) > len(shown)
    ]
    assert stopped == bool(ends)
    if not stopped:
        assert shown + new == text
        return
    assert text.startswith(shown + new)
    cut = len(shown + new)
    begins = [at for stop in stops for at in range(len(text)) if text.startswith(stop, at)]
    assert cut in begins or (not new and any(at < len(shown) for at in begins))
