"""A conversation that does not fit: refused, or without its oldest turns, by a rule that holds."""

from collections.abc import Iterator, Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import PromptTooLong
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.models.scripted import ScriptedTokenizer
from glasschat.prompt import (
    ChatMessage,
    ChatTemplate,
    ContextPolicy,
    PlainText,
    PromptEncoding,
    PromptFitter,
    decode,
    user,
)
from glasschat.prompt.fitting import choose_first_kept
from glasschat.prompt.token_counts import TurnTokens
from glasschat.sampling import SamplingParams
from tests.prompt.families import Family

OLDEST = ContextPolicy.LEAVE_OUT_OLDEST
TOKENIZER = ScriptedTokenizer()
SYSTEM = ChatMessage("system", "Be brief.")


def reply(text: str, ids: tuple[int, ...] | None = None) -> ChatMessage:
    return ChatMessage("assistant", text, ids)


def dialog(turns: int, question: int = 20, answer: int = 60) -> list[ChatMessage]:
    """Turns of so many bytes, and a question."""
    messages = []
    for number in range(turns):
        messages += [user(f"{number:.>{question}}"), reply(f"{number:.>{answer}}")]
    return [*messages, user("and now?")]


def fitted(
    messages: Sequence[ChatMessage],
    context: int,
    *,
    fitter: PromptFitter | None = None,
    **limits: int,
) -> PromptEncoding:
    fitter = fitter or PromptFitter(ChatTemplate(TOKENIZER))
    return fitter.fit(messages, SamplingParams(**limits), context, OLDEST)


def texts(encoding: PromptEncoding, messages: Sequence[ChatMessage]) -> None:
    """Every span says what the message says that it names."""
    for span in encoding.spans:
        if span.message is not None:
            said = decode(TOKENIZER, encoding.ids[span.start : span.end])
            assert said == messages[span.message].text


def test_what_fits_is_left_as_it_is() -> None:
    messages = [SYSTEM, *dialog(3)]
    encoding = fitted(messages, 8192)
    assert encoding == ChatTemplate(TOKENIZER).encode(messages)
    assert encoding.left_out == ()


@given(
    sizes=st.lists(st.tuples(st.integers(0, 150), st.integers(0, 150)), max_size=12),
    system=st.booleans(),
    going_on=st.integers(0, 60),
    context=st.integers(150, 900),
    limit=st.one_of(st.none(), st.integers(1, 400)),
)
def test_the_oldest_turns_go_and_nothing_else(
    sizes: list[tuple[int, int]], system: bool, going_on: int, context: int, limit: int | None
) -> None:
    messages = [SYSTEM] if system else []
    for question, answer in sizes:
        messages += [user("q" * question), reply("a" * answer)]
    messages.append(user("newest"))
    if going_on:
        messages.append(reply("o" * going_on, (ord("o"),) * going_on))
    encoding = fitted(messages, context, **({} if limit is None else {"max_new_tokens": limit}))
    first = 1 if system else 0
    gone = len(encoding.left_out)
    assert encoding.left_out == tuple(range(first, first + gone))
    assert gone % 2 == 0, "a question goes with its reply"
    texts(encoding, messages)
    kept = [*messages[:first], *messages[first + gone :]]
    assert encoding.ids == ChatTemplate(TOKENIZER).prompt_for(kept).ids
    assert (encoding.open_reply is not None) == bool(going_on)
    # A quarter of the context is left for the reply, or all that it may have, if anything can go.
    spare = min(context // 4, limit or context)
    assert len(encoding.ids) <= context - spare or gone == 2 * len(sizes)


def test_a_short_reply_needs_no_more_than_its_own_room() -> None:
    messages = dialog(5)
    size = len(ChatTemplate(TOKENIZER).encode(messages).ids)
    assert fitted(messages, size + 9, max_new_tokens=9).left_out == ()
    assert fitted(messages, size + 8, max_new_tokens=9).left_out != ()
    assert fitted(messages, size + 9).left_out != ()


def test_what_cannot_go_and_does_not_fit_is_refused_with_the_numbers() -> None:
    messages = [SYSTEM, *dialog(3), reply("ok"), user("x" * 300)]
    needed = len(ChatTemplate(TOKENIZER).encode([SYSTEM, messages[-1]]).ids)
    with pytest.raises(PromptTooLong, match=f"shorten it by {needed - 255:,} tokens") as caught:
        fitted(messages, 256)
    assert caught.value.needed == needed


def test_the_other_policy_leaves_nothing_out() -> None:
    fitter = PromptFitter(ChatTemplate(TOKENIZER))
    messages = dialog(5)
    needed = len(ChatTemplate(TOKENIZER).encode(messages).ids)
    assert len(fitter.fit(messages, SamplingParams(), needed + 1).ids) == needed
    for context in (needed, 100):
        with pytest.raises(PromptTooLong) as caught:
            fitter.fit(messages, SamplingParams(), context)
        assert caught.value.needed == needed, "the number is the true one, however it was found"


SIZES = st.lists(
    st.builds(
        lambda last, more: TurnTokens(last, last + more), st.integers(1, 40), st.integers(1, 90)
    ),
    min_size=1,
    max_size=40,
)


@given(turns=SIZES, frame=st.integers(0, 20), most=st.integers(60, 300), share=st.floats(0.2, 1))
def test_what_is_left_out_stays_so_until_it_must_be_more(
    turns: list[TurnTokens], frame: int, most: int, share: float
) -> None:
    """The law that keeps the cache of use: between two cuts a conversation only grows."""
    target = int(most * share)
    cuts = [
        choose_first_kept(frame, turns[: number + 1], most=most, target=target)
        for number in range(len(turns))
    ]
    assert cuts == sorted(cuts)
    for number, (before, after) in enumerate(pairwise([0, *cuts])):
        held = frame + sum(turn.followed for turn in turns[before:number]) + turns[number].last
        assert (after > before) == (held > most and before < number)
        if after > before:
            left = held - sum(turn.followed for turn in turns[before:after])
            assert left <= target or after == number
            assert left + turns[after - 1].followed > target, "no more goes than has to"


def test_a_long_chat_is_mostly_read_from_the_cache() -> None:
    """Cut to half of the context at a time, and not by a turn for every question."""
    context, computed, total, before = 2000, 0, 0, ()
    fitter = PromptFitter(ChatTemplate(TOKENIZER))
    for turns in range(1, 120):
        ids = fitted([SYSTEM, *dialog(turns)], context, fitter=fitter).ids
        shared = next(
            (i for i, (a, b) in enumerate(zip(before, ids, strict=False)) if a != b), len(before)
        )
        computed += len(ids) - shared
        total += len(ids)
        before = ids
    assert computed < total / 3


@pytest.fixture
def renders(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[int]]:
    """How many messages each render was given."""
    counts: list[int] = []
    locate_contents = ChatTemplate._locate_contents

    def counted(self: ChatTemplate, turns: Sequence[ChatMessage], open_reply: bool) -> object:
        counts.append(len(turns))
        return locate_contents(self, turns, open_reply)

    monkeypatch.setattr(ChatTemplate, "_locate_contents", counted)
    yield counts


def test_a_thousand_turns_are_rendered_once_and_only_what_stays(renders: list[int]) -> None:
    fitter = PromptFitter(ChatTemplate(TOKENIZER))
    encoding = fitted([SYSTEM, *dialog(1000)], 8192, fitter=fitter)
    assert len(encoding.left_out) > 1800
    large = [count for count in renders if count > 3]
    assert large == [2002 - len(encoding.left_out)]
    renders.clear()
    with pytest.raises(PromptTooLong):
        fitter.fit([SYSTEM, *dialog(1000)], SamplingParams(), 8192)
    assert renders == []


def test_a_template_that_writes_more_with_every_turn_still_fits() -> None:
    """What is added up is then too little, and the true prompt decides."""
    source = (
        "{% for m in messages %}<|head|>{{ m.role }}<|/head|>{{ m.content }}"
        "{{ '#' * (9 * loop.index) }}<|end|>{% endfor %}<|head|>assistant<|/head|>"
    )
    fitter = PromptFitter(ChatTemplate(TOKENIZER, source))
    messages = dialog(40)
    encoding = fitted(messages, 3000, fitter=fitter)
    texts(encoding, messages)
    assert 0 < len(encoding.left_out) < len(messages) - 1
    assert len(encoding.ids) <= 2250
    one_more = encoding.left_out[:-2]
    kept = messages[len(one_more) :]
    assert len(ChatTemplate(TOKENIZER, source).encode(kept).ids) > 2250


@pytest.mark.parametrize("system", [True, False])
@pytest.mark.parametrize("turns", [0, 1, 2, 7])
def test_sizes_are_added_up_as_the_template_writes_them(
    family: Family, system: bool, turns: int
) -> None:
    """The families' templates write the same around each turn, so that the sum is the truth.

    But for Llama 2's: behind its system prompt the first question stands without a space.
    """
    said = [
        ("Hello", "Hi there."),
        ("What is  2+2?", "4\n\nfour"),
        ("日本語", "naïve …"),
        ("x", ""),
    ]
    messages = [SYSTEM] if system and family.system else []
    for number in range(turns):
        question, answer = said[number % 4]
        ids = tuple(family.tokenizer.encode(answer, control=False)) if number % 2 else None
        messages += [user(question), reply(answer, ids)]
    messages.append(user("The end"))
    fitter = PromptFitter(family.template)
    counted = fitter._count(messages)
    off = 1 if family.name == "llama2" and system and turns else 0
    assert counted + off == len(family.template.encode(messages).ids)


def test_a_meter_counts_what_would_be_sent(smollm: LlamaTokenizer) -> None:
    template = ChatTemplate(smollm)
    fitter = PromptFitter(template)
    messages = [SYSTEM, *dialog(3)]
    assert fitter.measure(messages, 8192) == len(template.encode(messages).ids)
    going_on = [*messages, reply("The", tuple(smollm.encode("The", control=False)))]
    assert fitter.measure(going_on, 8192) == fitter.measure(messages, 8192) + 1
    empty = len(template.encode([user("")]).ids)
    assert fitter.measure([], 8192) == empty
    assert fitter.measure([SYSTEM], 8192) == len(template.encode([SYSTEM, user("")]).ids)
    assert fitter.measure(messages, 10) == fitter.measure(messages, 8192), "too long or not"


def test_a_meter_that_is_asked_again_renders_nothing(renders: list[int]) -> None:
    fitter = PromptFitter(ChatTemplate(TOKENIZER))
    counts = {fitter.measure(dialog(20), 8192) for _ in range(3)}
    assert len(counts) == 1
    assert len([count for count in renders if count > 3]) == 1


def test_plain_text_is_cut_too() -> None:
    fitter = PromptFitter(PlainText(TOKENIZER))
    messages = dialog(20)
    encoding = fitted(messages, 400, fitter=fitter)
    texts(encoding, messages)
    assert encoding.left_out
    assert fitter.measure(messages, 8192) == len(PlainText(TOKENIZER).encode(messages).ids)
