"""Prompts for Llama-3 are those of Meta's own encoder, id for id, from a folder and from a GGUF."""

import json
from collections.abc import Iterator
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llama_models.datatypes import RawMessage
from llama_models.llama3.chat_format import ChatFormat
from llama_models.llama3.tokenizer import Tokenizer as MetaTokenizer

from glasschat.models.base import Tokenizer
from glasschat.models.hf.tokenizer import HfTokenizer
from glasschat.models.llama_cpp.tokenizer import open_vocabulary
from glasschat.prompt import ChatMessage, ChatTemplate, describe
from tests.support import ggufs
from tests.support.examples import examples
from tests.support.hf_folders import LLAMA3_TEMPLATE, tiny_llama3_folder
from tests.support.hf_parts import llama3_tokenizer

# Letters and signs of Unicode 16, which llama.cpp does not know yet: it cuts a text at them where
# the model's own tokenizer does not. All code points were compared; these are all that differ.
NEWER = (
    (0x1C89, 0x1C8A), (0xA7CB, 0xA7DC), (0x105C0, 0x105F3), (0x10D40, 0x10D85), (0x10EC2, 0x10EC4),
    (0x11380, 0x113D3), (0x116D0, 0x116E3), (0x11BC0, 0x11BF9), (0x13460, 0x143FA),
    (0x16100, 0x16139), (0x16D40, 0x16D79), (0x18CFF, 0x18CFF), (0x1CCF0, 0x1CCF9),
    (0x1E5D0, 0x1E5FA),
)  # fmt: skip
# The published template trims every content, as Meta's first encoder did; the one in llama-models
# strips nothing. Each is held to what it should give.
UNTRIMMED = LLAMA3_TEMPLATE.read_text(encoding="utf-8").replace(" | trim", "")


def known_everywhere(character: str) -> bool:
    return not any(first <= ord(character) <= last for first, last in NEWER)


@cache
def meta() -> ChatFormat:
    return ChatFormat(MetaTokenizer.get_instance())


PIECES = [f"<|{name}|>" for name in (
    "begin_of_text", "end_of_text", "reserved_special_token_0", "finetune_right_pad_id", "step_id",
    "start_header_id", "end_header_id", "eom_id", "eot_id", "python_tag", "image",
)]  # fmt: skip
ODD = [
    " ", "\n", "\n\n", "\t ", "\r\n", "\u00a0", "\u2028", "  x", "<|start_header_id|>user",
    "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\nSure", "don't", "1234567",
    "def f(x):\n    return x  # 中文", "👩‍👩‍👧", "e\u0301", "\U000f0000", "\0",
]  # fmt: skip
text = st.lists(
    st.one_of(
        st.text(st.characters(exclude_categories=["Cs"]).filter(known_everywhere), max_size=12),
        st.sampled_from(PIECES),
        st.builds(lambda piece, cut: piece[:cut], st.sampled_from(PIECES), st.integers(1, 20)),
        st.sampled_from(ODD),
    ),
    max_size=4,
).map("".join)
turns = st.lists(st.tuples(st.sampled_from(["user", "assistant"]), text), min_size=1, max_size=5)
dialogs = st.builds(
    lambda system, rest: [
        ChatMessage(role, said) for role, said in [*(("system", s) for s in system), *rest]
    ],
    st.lists(text, max_size=1),
    turns,
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> HfTokenizer:
    path = tmp_path_factory.mktemp("llama3") / "Llama-3"
    return HfTokenizer(tiny_llama3_folder(path, weights=False))


@pytest.fixture(scope="module")
def gguf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Tokenizer]:
    path = ggufs.from_tokenizer_json(
        tmp_path_factory.mktemp("llama3") / "llama3.gguf",
        json.loads(llama3_tokenizer()),
        LLAMA3_TEMPLATE.read_text(encoding="utf-8"),
        pre="llama-bpe",
        bos="<|begin_of_text|>",
        eos="<|eot_id|>",
    )
    with open_vocabulary(path) as tokenizer:
        yield tokenizer


@pytest.fixture(scope="module", params=["folder", "gguf"])
def tokenizer(request: pytest.FixtureRequest) -> Tokenizer:
    found: Tokenizer = request.getfixturevalue(request.param)
    return found


def by_meta(messages: list[ChatMessage], *, stripped: bool) -> list[int]:
    raw = [
        RawMessage(role=message.role, content=message.text.strip() if stripped else message.text)
        for message in messages
    ]
    return list(meta().encode_dialog_prompt(raw).tokens)


@given(dialogs)
@settings(max_examples=examples(120))
def test_any_dialog_has_the_ids_of_metas_encoder(
    tokenizer: Tokenizer, messages: list[ChatMessage]
) -> None:
    encoding = ChatTemplate(tokenizer).encode(messages)
    assert list(encoding.ids) == by_meta(messages, stripped=True)


@given(dialogs)
@settings(max_examples=examples(120))
def test_any_dialog_has_them_too_where_no_blank_is_trimmed(
    tokenizer: Tokenizer, messages: list[ChatMessage]
) -> None:
    encoding = ChatTemplate(tokenizer, UNTRIMMED).encode(messages)
    assert list(encoding.ids) == by_meta(messages, stripped=False)


def test_spans_say_whose_each_id_is(tokenizer: Tokenizer) -> None:
    messages = [ChatMessage("system", "Be brief."), ChatMessage("user", "<|eot_id|>")]
    spans = describe(tokenizer, ChatTemplate(tokenizer).encode(messages))
    assert [(span["origin"], span["text"]) for span in spans] == [
        ("template", "<|begin_of_text|><|start_header_id|>system<|end_header_id|>\n\n"),
        ("system", "Be brief."),
        ("template", "<|eot_id|><|start_header_id|>user<|end_header_id|>\n\n"),
        ("user", "<|eot_id|>"),
        ("template", "<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n"),
    ]


def test_every_token_has_the_bytes_that_meta_gives_it(tokenizer: Tokenizer) -> None:
    decode = meta().tokenizer.model.decode_single_token_bytes
    assert tokenizer.vocab_size == meta().tokenizer.n_words == 128_256
    wrong = [i for i in range(128_256) if tokenizer.token_bytes(i) != decode(i)]
    assert wrong == []


def test_begin_and_end_tokens_are_those_of_meta(tokenizer: Tokenizer) -> None:
    assert tokenizer.bos_id == meta().tokenizer.bos_id
    assert {meta().tokenizer.eos_id, meta().tokenizer.eot_id} <= tokenizer.end_ids
    assert tokenizer.end_ids <= set(meta().tokenizer.stop_tokens)
    assert tokenizer.control_ids == set(meta().tokenizer.special_tokens.values())
