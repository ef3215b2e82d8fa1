"""A base model continues what it is given, and nothing of it becomes a control token."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import InvalidMessage
from glasschat.models.scripted import BOS, ScriptedTokenizer
from glasschat.prompt import ChatMessage, PlainText, decode

PLAIN = PlainText(ScriptedTokenizer())
TEXTS = st.text(st.characters(codec="utf-8")) | st.sampled_from(["<|end|>", "<s>", "<|head|>user"])


@given(st.lists(TEXTS, min_size=1, max_size=4))
def test_the_prompt_is_the_texts_one_behind_the_other(texts: list[str]) -> None:
    roles = ["user", "assistant"] * 2
    encoding = PLAIN.encode(
        [ChatMessage(role, text) for role, text in zip(roles, texts, strict=False)]
    )
    assert encoding.ids[0] == BOS
    assert decode(ScriptedTokenizer(), encoding.ids[1:]) == "".join(texts)
    assert ScriptedTokenizer.control_ids.isdisjoint(encoding.ids[1:])
    ends = [0, *(span.end for span in encoding.spans)]
    assert [span.start for span in encoding.spans] == ends[:-1]
    assert ends[-1] == len(encoding.ids)
    assert all(span.start < span.end for span in encoding.spans)


def test_a_reply_goes_back_as_the_ids_that_it_was() -> None:
    told = [ChatMessage("user", "Once"), ChatMessage("assistant", " upon", (32, 117))]
    assert PLAIN.encode(told).ids == (BOS, *b"Once", 32, 117)


def test_no_message_is_no_prompt() -> None:
    with pytest.raises(InvalidMessage, match="no message"):
        PLAIN.encode([])
