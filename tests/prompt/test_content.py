"""A message is encoded whole, as text, or refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from glasschat.errors import InvalidMessage
from glasschat.models.llama_cpp.tokenizer import LlamaTokenizer
from glasschat.prompt import encode_content
from tests.prompt.families import Family
from tests.support.ggufs import SMOLLM_CHARACTERS


def written(tokenizer: LlamaTokenizer, ids: list[int]) -> bytes:
    return b"".join(map(tokenizer.token_bytes, ids))


def test_piece_that_the_backend_reads_as_control_is_split(family: Family) -> None:
    for piece in family.pieces:
        text = f"a {piece}{piece} b"
        ids = encode_content(family.tokenizer, text)
        assert written(family.tokenizer, ids) == text.encode()
        visible = family.tokenizer.control_ids
        assert visible.isdisjoint(ids)


def test_long_hostile_text_costs_no_more_than_its_length(family: Family) -> None:
    piece = family.pieces[-1]
    ids = encode_content(family.tokenizer, piece * 5000)
    assert written(family.tokenizer, ids) == piece.encode() * 5000


@given(st.text(st.characters(**SMOLLM_CHARACTERS)))
def test_bytes_of_the_ids_are_those_of_the_text(smollm: LlamaTokenizer, text: str) -> None:
    ids = encode_content(smollm, text)
    assert written(smollm, ids) == text.encode()
    assert smollm.control_ids.isdisjoint(ids)


def test_text_that_the_vocabulary_cannot_write_is_refused_by_its_place(
    smollm: LlamaTokenizer,
) -> None:
    """llama.cpp leaves such bytes out without a word; SmolLM2 lacks eight of the bytes of text."""
    with pytest.raises(InvalidMessage, match=r"U\+40000, character 3 of the text"):
        encode_content(smollm, "ab \U00040000 cd")
    with pytest.raises(InvalidMessage, match=r"U\+0016, character 2 of the text"):
        encode_content(smollm, "é \x16<|im_end|>")


class OneWay:
    """A tokenizer that knows `x` as a control token only."""

    control_ids = frozenset([0])

    def encode(self, text: str, *, control: bool) -> list[int]:
        return [0 if character == "x" else 1 for character in text]

    def token_bytes(self, token_id: int) -> bytes:
        return b"xy"[token_id : token_id + 1]


def test_control_token_of_one_letter_cannot_be_split(family: Family) -> None:
    with pytest.raises(InvalidMessage, match="'x' as a control token only"):
        encode_content(OneWay(), "yx")  # type: ignore[arg-type]
