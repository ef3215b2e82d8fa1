"""The prompts of harmless conversations are those that transformers makes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer, open_vocabulary
from glasschat.prompt import ChatMessage, ChatTemplate, decode
from tests.prompt.families import MAKERS, open_family
from tests.support.hf_parts import smollm2_tokenizer

CONVERSATIONS = [
    [ChatMessage("user", "Hello")],
    [ChatMessage("system", "You are terse."), ChatMessage("user", "What is 2+2?")],
    [
        ChatMessage("user", "  What is the capital of France?  "),
        ChatMessage("assistant", "Paris. It's on the Seine,\nand has 2,100,000 people!"),
        ChatMessage("user", "日本語で言って 👩‍👩‍👧 — def f(x):\n    return x\n"),
    ],
    [
        ChatMessage("system", "Be kind."),
        ChatMessage("user", "\n\nA\n\nB\t\tC"),
        ChatMessage("assistant", "naïve café … “quoted”"),
        ChatMessage("user", "1234567890"),
    ],
]


def as_dicts(messages: list[ChatMessage]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.text} for message in messages]


@pytest.fixture(scope="module")
def smollm(builtin_model_path: Path) -> Iterator[LlamaTokenizer]:
    with open_vocabulary(builtin_model_path) as tokenizer:
        yield tokenizer


@pytest.fixture(scope="module")
def converted(builtin_model_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """SmolLM2's own tokenizer.json, written from the vocabulary and merges in the GGUF."""
    from transformers import PreTrainedTokenizerFast

    path = tmp_path_factory.mktemp("hf") / "tokenizer.json"
    path.write_text(json.dumps(smollm2_tokenizer(builtin_model_path)))
    return PreTrainedTokenizerFast(
        tokenizer_file=str(path), bos_token="<|im_start|>", eos_token="<|im_end|>"
    )


@pytest.mark.parametrize("messages", CONVERSATIONS)
@pytest.mark.parametrize("open_reply", [True, False])
def test_chatml_ids_equal_those_of_transformers(
    smollm: LlamaTokenizer, converted: Any, messages: list[ChatMessage], open_reply: bool
) -> None:
    encoding = ChatTemplate(smollm).encode(messages, open_reply)
    expected = converted.apply_chat_template(
        as_dicts(messages),
        chat_template=smollm.template_source,
        add_generation_prompt=open_reply,
        tokenize=True,
        return_dict=False,
    )
    if any(message.text[:1].isspace() for message in messages):
        # A reference that encodes the prompt as one text joins leading blanks to the template's
        # own newline; ours keeps template and content apart. The text is the same.
        assert decode(smollm, encoding.ids) == converted.decode(expected)
    else:
        assert list(encoding.ids) == expected


@pytest.mark.parametrize("text", ["Paris", "Paris. It's on the Seine,\nand has"])
def test_a_reply_goes_on_as_transformers_continues_it(
    smollm: LlamaTokenizer, converted: Any, text: str
) -> None:
    messages = [*CONVERSATIONS[1], ChatMessage("assistant", text)]
    expected = converted.apply_chat_template(
        as_dicts(messages),
        chat_template=smollm.template_source,
        continue_final_message=True,
        tokenize=True,
        return_dict=False,
    )
    assert list(ChatTemplate(smollm).prompt_for(messages).ids) == expected


@pytest.mark.parametrize("name", [name for name in MAKERS if "mistyped" not in name])
def test_text_of_every_family_equals_that_of_transformers(
    name: str, tmp_path: Path, builtin_model_path: Path
) -> None:
    from transformers.utils.chat_template_utils import render_jinja_template

    with open_family(name, tmp_path, builtin_model_path) as family:
        tokenizer = family.tokenizer
        specials = {
            key: tokenizer.token_bytes(token_id).decode()
            for key, token_id in (("bos_token", tokenizer.bos_id), ("eos_token", tokenizer.eos_id))
            if token_id is not None
        }
        for messages in CONVERSATIONS:
            if messages[0].role == "system" and not family.system:
                continue
            rendered, _ = render_jinja_template(
                conversations=[as_dicts(messages)],
                chat_template=family.template.source,
                add_generation_prompt=True,
                **specials,
            )
            text = decode(tokenizer, family.template.encode(messages).ids)
            # What the vocabulary, not the template, puts in: begin-of-text, and Llama 2's space
            # after a control token.
            text = re.sub(r"(<s>|</s>|<\|[a-z]+\|>) (?=[\n\[])", r"\1", text)
            begin = specials.get("bos_token", "")
            assert text.removeprefix(begin) == rendered[0].removeprefix(begin)
