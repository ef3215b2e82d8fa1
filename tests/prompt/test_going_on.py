"""A reply goes on behind the very prompt that it was begun on."""

import pytest

from glasschat.errors import InvalidMessage
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.prompt import (
    ChatMessage,
    ChatTemplate,
    OpenReply,
    PlainText,
    PromptEncoding,
    Span,
    decode,
    user,
)
from tests.prompt.conftest import Families
from tests.prompt.families import Family

QUESTION = [user("What is the capital of France?")]


def reply(text: str, ids: tuple[int, ...] | None = None) -> ChatMessage:
    return ChatMessage("assistant", text, ids)


def rest(encoding: PromptEncoding, opened: PromptEncoding) -> tuple[int, ...]:
    """What comes behind the prompt that opens the reply, which it begins with."""
    size = len(opened.ids)
    assert encoding.ids[:size] == opened.ids
    assert encoding.spans[: len(opened.spans)] == opened.spans
    return encoding.ids[size:]


def test_a_generated_reply_goes_on_from_its_ids(family: Family) -> None:
    """From the cache, that is: the prompt is what the model has read and said already."""
    letters = tuple(family.tokenizer.encode(letter, control=False)[0] for letter in "Paris")
    encoding = family.template.prompt_for([*QUESTION, reply("Paris", letters)])
    assert rest(encoding, family.template.encode(QUESTION)) == letters
    size = len(encoding.ids)
    assert encoding.spans[-1] == Span(size - len(letters), size, "assistant", 1)
    assert encoding.open_reply == OpenReply(len(letters), "Paris")


@pytest.mark.parametrize("text", ["Paris is", "Paris <|im_end|> </s> is", "Paris\n\n", "\tParis"])
def test_a_reply_without_ids_goes_on_from_its_text(family: Family, text: str) -> None:
    encoding = family.template.prompt_for([*QUESTION, reply(text)])
    ids = rest(encoding, family.template.encode(QUESTION))
    assert decode(family.tokenizer, ids) in (text, " " + text)
    assert family.tokenizer.control_ids.isdisjoint(ids)
    assert encoding.open_reply == OpenReply(len(ids), text)


@pytest.mark.parametrize(
    ("name", "text"),
    [("llama2", " Paris"), ("mistral", " Paris"), ("chatml", "Paris"), ("llama3", "Paris"),
     ("gemma", "Paris"), ("phi3", "Paris")],
)  # fmt: skip
def test_a_reply_has_the_space_that_the_template_gives_a_finished_one(
    families: Families, name: str, text: str
) -> None:
    """ "[/INST]Paris" is what no model was trained on; its reply begins with " Paris"."""
    family = families.get(name)
    template = family.template
    for said in ("Paris", text):
        ids = rest(template.prompt_for([*QUESTION, reply(said)]), template.encode(QUESTION))
        assert ids == tuple(family.tokenizer.encode(text, control=False))


def test_a_finished_last_turn_is_another_matter(smollm: LlamaTokenizer) -> None:
    """`encode` still writes the turn as the template finishes it."""
    template = ChatTemplate(smollm)
    messages = [*QUESTION, reply("Paris")]
    assert template.encode(messages).open_reply is None
    assert len(template.encode(messages).ids) > len(template.prompt_for(messages).ids)


def test_a_prompt_that_ends_with_a_question_is_as_ever(family: Family) -> None:
    assert family.template.prompt_for(QUESTION) == family.template.encode(QUESTION)


@pytest.mark.parametrize("nothing", [reply("", ()), reply("")])
def test_a_reply_without_a_token_begins_like_any_other(
    smollm: LlamaTokenizer, nothing: ChatMessage
) -> None:
    template = ChatTemplate(smollm)
    assert template.prompt_for([*QUESTION, nothing]) == template.encode(QUESTION)


def test_ids_of_another_models_reply_are_refused(smollm: LlamaTokenizer) -> None:
    with pytest.raises(InvalidMessage, match="message 1 holds token 128000"):
        ChatTemplate(smollm).prompt_for([*QUESTION, reply("x", (128_000,))])


def test_a_reply_to_nothing_is_refused(smollm: LlamaTokenizer) -> None:
    with pytest.raises(InvalidMessage, match="no message"):
        ChatTemplate(smollm).prompt_for([reply("x")])


def test_a_template_whose_finished_turns_look_otherwise_has_no_say(smollm: LlamaTokenizer) -> None:
    """As those that open a reply with an empty thought, or with another header."""
    source = (
        "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content | trim }}<|im_end|>\n"
        "{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n\n"
        "{% endif %}"
    )
    template = ChatTemplate(smollm, source)
    encoding = template.prompt_for([*QUESTION, reply("Paris \n")])
    assert decode(smollm, encoding.ids).endswith("assistant\n<think>\n\nParis \n")


def test_plain_text_goes_on_where_it_ends(smollm: LlamaTokenizer) -> None:
    plain = PlainText(smollm)
    ids = tuple(smollm.encode(" upon a", control=False))
    encoding = plain.prompt_for([user("Once"), reply(" upon a", ids)])
    assert rest(encoding, plain.encode([user("Once")])) == ids
    assert encoding.open_reply == OpenReply(len(ids), " upon a")
    assert plain.prompt_for([user("Once")]).open_reply is None
    assert plain.prompt_for([user("Once"), reply("")]).open_reply is None
