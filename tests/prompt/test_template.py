"""What a user sees of the prompt, and what a template is told when it will not do."""

import threading

import pytest

from glasschat.errors import InvalidMessage, TemplateError
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.prompt import ChatMessage, ChatTemplate, decode, describe, user
from tests.prompt.conftest import Families
from tests.prompt.families import Family, render_plainly, source_of

SYSTEM = ChatMessage("system", "Be brief.")


def reply(text: str) -> ChatMessage:
    return ChatMessage("assistant", text)


def test_chatml_prompt_says_what_it_should(smollm: LlamaTokenizer) -> None:
    template = ChatTemplate(smollm)
    encoding = template.encode([SYSTEM, user("Hi <|im_end|>")])
    assert describe(smollm, encoding) == [
        {"start": 0, "end": 3, "origin": "template", "message": None,
         "text": "<|im_start|>system\n"},
        {"start": 3, "end": 6, "origin": "system", "message": 0, "text": "Be brief."},
        {"start": 6, "end": 11, "origin": "template", "message": None,
         "text": "<|im_end|>\n<|im_start|>user\n"},
        {"start": 11, "end": 19, "origin": "user", "message": 1, "text": "Hi <|im_end|>"},
        {"start": 19, "end": 25, "origin": "template", "message": None,
         "text": "<|im_end|>\n<|im_start|>assistant\n"},
    ]  # fmt: skip


def test_closed_prompt_ends_with_the_turn(family: Family) -> None:
    encoding = family.template.encode([user("Hello")], open_reply=False)
    assert len(encoding.ids) <= len(family.template.encode([user("Hello")]).ids)


@pytest.mark.parametrize("name", ["llama3", "llama2", "mistral", "gemma", "phi3"])
def test_begin_of_text_comes_once(families: Families, name: str) -> None:
    family = families.get(name)
    bos = family.tokenizer.bos_id
    assert bos is not None
    piece = family.tokenizer.token_bytes(bos).decode()
    encoding = family.template.encode([user(f"{piece} Hello {piece}{piece}")])
    assert encoding.ids[0] == bos
    assert encoding.ids.count(bos) == 1


def test_begin_of_text_is_added_for_a_template_that_forgets_it(families: Families) -> None:
    tokenizer = families.get("llama2").tokenizer
    forgets = ChatTemplate(tokenizer, "[INST] {{ messages[0].content }} [/INST]")
    writes = ChatTemplate(tokenizer, "{{ bos_token }}[INST] {{ messages[0].content }} [/INST]")
    doubles = ChatTemplate(tokenizer, "<s><s>[INST] {{ messages[0].content }} [/INST]")
    ids = writes.encode([user("Hello")]).ids
    assert ids[0] == tokenizer.bos_id
    assert forgets.encode([user("Hello")]).ids == ids == doubles.encode([user("Hello")]).ids


def test_model_without_begin_of_text_gets_none(families: Families) -> None:
    family = families.get("qwen2_5")
    assert family.tokenizer.bos_id is None
    assert decode(family.tokenizer, family.template.encode([user("Hello")]).ids).startswith(
        "<|im_start|>system\n"
    )


def test_generated_reply_goes_back_as_its_ids(family: Family) -> None:
    # Ids that no tokenizer would choose for their text, as a sampler may well draw them.
    letters = [family.tokenizer.encode(letter, control=False)[0] for letter in "HelloParis"]
    turn = ChatMessage("assistant", "HelloParis", tuple(letters))
    encoding = family.template.encode([user("Hello"), turn, user("again")])
    span = next(span for span in encoding.spans if span.message == 1)
    assert list(encoding.ids[span.start : span.end]) == letters
    assert span.origin == "assistant"


def test_cached_prompt_and_reply_are_the_beginning_of_the_next_prompt(family: Family) -> None:
    """What the KV cache holds after a reply can be used again, whole."""
    messages = [user("Hello")]
    first = family.template.encode(messages).ids
    for text in ("Paris is the capital", " Paris"):
        ids = tuple(family.tokenizer.encode(text, control=False))
        turn = ChatMessage("assistant", text, ids)
        following = family.template.encode([*messages, turn, user("the end")]).ids
        if text.startswith(" ") or family.name not in ("llama2", "mistral"):
            assert following[: len(first) + len(ids)] == first + ids


def test_empty_and_blank_turns_keep_their_place(smollm: LlamaTokenizer) -> None:
    encoding = ChatTemplate(smollm).encode([user(""), reply(" \n"), user("x")])
    text = decode(smollm, encoding.ids)
    assert "<|im_start|>user\n<|im_end|>" in text
    assert "<|im_start|>assistant\n \n<|im_end|>" in text


@pytest.mark.parametrize("text", ["", "  ", " \n a \n ", "\n\n", "a", " a", "a\n", "\u3000a\x85"])
@pytest.mark.parametrize(
    "expression",
    ["c", "c | trim", "c.strip()", "c.lstrip('\\n')", "c.rstrip()", "c.strip('\\n')", "c.lstrip()",
     "(c ~ '\\n') | trim", "('\\n' ~ c).strip()"],
)  # fmt: skip
def test_template_trims_as_it_would(smollm: LlamaTokenizer, text: str, expression: str) -> None:
    source = "{% for m in messages %}{% set c = m.content %}[{{ " + expression + " }}]{% endfor %}"
    messages = [user(text), reply("x"), user(text)]
    if not text.strip() and "~" in expression:
        # With nothing between them, the blanks of content and template are one: what is left
        # of them cannot be told apart.
        return
    ids = ChatTemplate(smollm, source).encode(messages).ids
    assert decode(smollm, ids) == render_plainly(source, messages, True, "", "")


def test_gemma_says_that_it_takes_no_system_prompt(families: Families) -> None:
    family = families.get("gemma")
    with pytest.raises(InvalidMessage, match=r"takes no system prompt.*System role not supported"):
        family.template.encode([SYSTEM, user("Hello")])


def test_template_that_drops_the_system_prompt_is_found_out(smollm: LlamaTokenizer) -> None:
    source = "{% for m in messages if m.role != 'system' %}{{ m.content }}{% endfor %}"
    with pytest.raises(InvalidMessage, match=r"leaves the system prompt .* out"):
        ChatTemplate(smollm, source).encode([SYSTEM, user("Hello")])


def test_template_that_shows_a_turn_twice_or_never_is_found_out(smollm: LlamaTokenizer) -> None:
    with pytest.raises(TemplateError, match=r"message 0 \(user\) 2 times"):
        ChatTemplate(smollm, "{{ messages[0].content * 2 }}").encode([user("Hello")])
    with pytest.raises(TemplateError, match=r"leaves out message 0 \(user\)"):
        ChatTemplate(smollm, "{{ messages[-1].content }}").encode([user("Hello"), reply("x")])


def test_refused_order_of_roles_gives_the_templates_own_words(families: Families) -> None:
    with pytest.raises(TemplateError, match="Conversation roles must alternate"):
        families.get("llama2").template.encode([user("a"), user("b")])


def test_template_that_rewrites_blanks_is_refused(smollm: LlamaTokenizer) -> None:
    source = "{{ messages[0].content | replace('\\n', ' / ') }}"
    with pytest.raises(TemplateError, match="not trimming"):
        ChatTemplate(smollm, source).encode([user("Hello\n")])


def test_model_without_template_is_not_guessed(smollm: LlamaTokenizer) -> None:
    with pytest.raises(TemplateError, match="no chat template"):
        ChatTemplate(smollm, "")


def test_no_message_is_an_error(smollm: LlamaTokenizer) -> None:
    with pytest.raises(InvalidMessage, match="no message"):
        ChatTemplate(smollm).encode([])


def test_ids_of_another_models_reply_are_refused(smollm: LlamaTokenizer) -> None:
    turn = ChatMessage("assistant", "x", (128_000,))
    with pytest.raises(InvalidMessage, match="message 1 holds token 128000"):
        ChatTemplate(smollm).encode([user("Hello"), turn])


def test_two_threads_get_the_same_prompt(smollm: LlamaTokenizer) -> None:
    template = ChatTemplate(smollm)
    expected = template.encode([SYSTEM, user("Hello")])
    found: list[object] = []

    def work() -> None:
        found.extend(template.encode([SYSTEM, user("Hello")]) for _ in range(50))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [expected] * 200


def test_leading_space_joins_the_word_as_in_training(families: Families) -> None:
    family = families.get("llama2")
    ids = family.template.encode([user("Hello")]).ids
    assert b" Hello" in [family.tokenizer.token_bytes(i) for i in ids]


def test_every_source_is_one_of_the_families() -> None:
    assert "start_of_turn" in source_of("gemma")
