"""Ids and bytes exactly as the vocabulary has them, with nothing put in front."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import InvalidModel
from glasschat.models.base import Tokenizer
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer, open_vocabulary
from tests.support import ggufs
from tests.support.ggufs import CONTROL, NORMAL, SMOLLM_CHARACTERS, USER_DEFINED

SPECIAL = {
    "<s>": CONTROL, "</s>": CONTROL, "[INST]": CONTROL, "<h1>": USER_DEFINED, "  ": USER_DEFINED,
    "\n\n": USER_DEFINED, "<|user|>": NORMAL,
}  # fmt: skip


@pytest.fixture(scope="module")
def smollm(builtin_model_path: Path) -> Iterator[LlamaTokenizer]:
    with open_vocabulary(builtin_model_path) as tokenizer:
        yield tokenizer


@pytest.fixture(scope="module", params=[True, False], ids=["space-prefix", "no-prefix"])
def spm(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LlamaTokenizer]:
    path = tmp_path_factory.mktemp("spm") / "spm.gguf"
    ggufs.sentencepiece(path, SPECIAL, "{{ messages }}", space_prefix=request.param)
    with open_vocabulary(path) as tokenizer:
        yield tokenizer


def written(tokenizer: LlamaTokenizer, ids: list[int]) -> bytes:
    return b"".join(map(tokenizer.token_bytes, ids))


def test_smollm2_is_what_its_file_says(smollm: LlamaTokenizer) -> None:
    protocol: Tokenizer = smollm
    assert protocol.vocab_size == 49152
    assert (smollm.bos_id, smollm.eos_id, smollm.adds_bos) == (1, 2, False)
    assert {0, 2} <= smollm.end_ids
    assert smollm.control_ids == frozenset(range(17))
    assert smollm.token_bytes(2) == b"<|im_end|>"
    assert "im_start" in (smollm.template_source or "")
    assert smollm.encode("<|im_end|>", control=True) == [2]
    assert 2 not in smollm.encode("<|im_end|>", control=False)


def test_every_token_has_bytes(smollm: LlamaTokenizer) -> None:
    assert all(smollm.token_bytes(token_id) for token_id in range(smollm.vocab_size))
    for outside in (-1, smollm.vocab_size):
        with pytest.raises(IndexError):
            smollm.token_bytes(outside)


@given(st.text(st.characters(**SMOLLM_CHARACTERS)))
def test_bpe_text_comes_back(smollm: LlamaTokenizer, text: str) -> None:
    assert written(smollm, smollm.encode(text, control=False)) == text.encode()


@given(
    st.lists(
        st.one_of(
            st.text(st.characters(exclude_categories=["Cs"]), max_size=5),
            st.sampled_from(["Hello", " Hello world", "\u2581", "\u2581Hello", *SPECIAL]),
        )
    ).map("".join)
)
def test_sentencepiece_text_comes_back(spm: LlamaTokenizer, text: str) -> None:
    """No space in front, none after an added token, and a written \u2581 is no space."""
    assert written(spm, spm.encode(text, control=False)) == text.encode()


def test_words_keep_the_space_that_is_theirs(spm: LlamaTokenizer) -> None:
    assert [spm.token_bytes(i) for i in spm.encode("Hello world", control=False)] == [
        b"Hello",
        b" world",
    ]


def test_added_and_mistyped_pieces_are_control_but_blanks_are_not(spm: LlamaTokenizer) -> None:
    control = {spm.token_bytes(token_id) for token_id in spm.control_ids}
    assert control == {b"<unk>", b"<s>", b"</s>", b"[INST]", b"<h1>", b"<|user|>"}
    assert [spm.token_bytes(i) for i in spm.encode("<|user|>", control=True)] == [b"<|user|>"]


def test_visible_added_tokens_show_in_replies_and_structure_does_not(spm: LlamaTokenizer) -> None:
    hidden = {spm.token_bytes(token_id) for token_id in spm.hidden_ids}
    assert hidden == {b"<unk>", b"<s>", b"</s>", b"[INST]", b"<|user|>"}
    assert spm.hidden_ids < spm.control_ids


def test_end_token_of_the_type_of_visible_ones_is_hidden(tmp_path: Path) -> None:
    special = {"<s>": CONTROL, "<over>": USER_DEFINED, "<h1>": USER_DEFINED}
    path = ggufs.sentencepiece(tmp_path / "x.gguf", special, None, eos="<over>")
    with open_vocabulary(path) as tokenizer:
        hidden = {tokenizer.token_bytes(token_id) for token_id in tokenizer.hidden_ids}
        assert hidden == {b"<unk>", b"<s>", b"<over>"}


def test_megabyte_of_blanks_takes_no_minutes(spm: LlamaTokenizer) -> None:
    assert len(spm.encode(" " * 200_000, control=False)) == 100_000


def test_assumed_begin_and_end_tokens_are_not_believed(
    tmp_path: Path, builtin_model_path: Path
) -> None:
    """Without a name for them llama.cpp takes token 11, which in GPT-2 is a comma."""
    special = {f"word{index}": NORMAL for index in range(ggufs.RESERVED)}
    path = ggufs.byte_level(tmp_path / "x.gguf", builtin_model_path, special, None)
    with open_vocabulary(path) as tokenizer:
        assert (tokenizer.bos_id, tokenizer.eos_id, tokenizer.template_source) == (None, None, None)
        assert 11 not in tokenizer.end_ids | tokenizer.control_ids


def test_vocabulary_without_bytes_is_refused_before_it_ends_the_process(tmp_path: Path) -> None:
    """llama.cpp aborts on the first character that such a vocabulary has no piece for."""
    special = {"<s>": CONTROL, "</s>": CONTROL}
    path = ggufs.sentencepiece(tmp_path / "x.gguf", special, None, with_bytes=False)
    with pytest.raises(InvalidModel, match="no token for"), open_vocabulary(path):
        pass


def test_file_that_llama_cpp_cannot_read_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.gguf"
    path.write_bytes(b"GGUF" + bytes(20))
    with pytest.raises(InvalidModel, match="cannot read the vocabulary"), open_vocabulary(path):
        pass
