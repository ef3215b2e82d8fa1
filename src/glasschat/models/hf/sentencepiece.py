"""Reader of a sentencepiece file, tokenizer.model, for the `tokenizers` library.

For folders without a tokenizer.json. transformers' own conversion wants two libraries more, and
loses the scores: blanks side by side, as in front of code, come out as other tokens than the model
was trained on.

The file is a message of Protocol Buffers; the numbers are those of sentencepiece_model.proto.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.config_json import MOST_TOKENS

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, UNUSED, BYTE = 1, 2, 3, 4, 5, 6
_BPE = 2
_SPACE = "\u2581"
_LONGEST_PIECE = 256
_Field = tuple[int, "int | bytes"]


@dataclass(frozen=True, slots=True)
class SentencePieces:
    """Contents of a tokenizer.model: pieces with score and kind, and how a text is split."""

    pieces: tuple[tuple[str, float, int], ...]
    model_type: int
    byte_fallback: bool
    named: dict[str, int]
    space_in_front: bool
    keeps_text: bool


def read_pieces(data: bytes) -> SentencePieces | None:
    """Read a tokenizer.model; None when `data` is no sentencepiece file, or a damaged one."""
    try:
        return _read(data)
    except (ValueError, struct.error, UnicodeDecodeError):
        return None


def build(found: SentencePieces, *, legacy: bool) -> Any:
    """Build a `tokenizers.Tokenizer` that splits a text as sentencepiece does.

    With `legacy` a vocabulary that puts a space in front of a text does so after each control token
    too, as Llama 2's. Raises InvalidModel for a kind that is not read.
    """
    from tokenizers import (
        AddedToken,
        Regex,
        Tokenizer,
        decoders,
        models,
        normalizers,
        pre_tokenizers,
    )

    if found.model_type != _BPE or not found.keeps_text:
        raise InvalidModel(
            "tokenizer.model is of a kind that is not read (no byte pairs, or one that changes "
            "the text): {advice}",
            advice=Message("add a tokenizer.json"),
        )
    vocab = {piece: token_id for token_id, (piece, _, _) in enumerate(found.pieces)}
    unknown = next((piece for piece, _, kind in found.pieces if kind == UNKNOWN), None)
    made = Tokenizer(
        models.BPE(
            vocab,
            _merges(found, vocab),
            unk_token=unknown,
            fuse_unk=True,
            byte_fallback=found.byte_fallback,
        )
    )
    steps: list[Any] = [decoders.Replace(_SPACE, " "), decoders.ByteFallback(), decoders.Fuse()]
    if found.space_in_front and not legacy:
        made.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    else:
        front = [normalizers.Prepend(_SPACE)] if found.space_in_front else []
        made.normalizer = normalizers.Sequence([*front, normalizers.Replace(Regex(" "), _SPACE)])
    made.decoder = decoders.Sequence(steps)
    for kinds, special in (((CONTROL, UNKNOWN), True), ((USER_DEFINED,), False)):
        tokens = [
            AddedToken(piece, normalized=False, special=special)
            for piece, _, kind in found.pieces
            if kind in kinds
        ]
        (made.add_special_tokens if special else made.add_tokens)(tokens)
    return made


def _merges(found: SentencePieces, vocab: dict[str, int]) -> list[tuple[str, str]]:
    """Return every way to join two pieces to a third, the best piece first.

    sentencepiece joins the neighbours whose piece has the highest score; `tokenizers` those that
    come first in this list.
    """
    makeable = [(-score, piece) for piece, score, kind in found.pieces if kind == NORMAL]
    parts = {piece for _, piece in makeable}
    merges = []
    for _, piece in sorted(makeable, key=lambda pair: pair[0]):
        if len(piece) <= _LONGEST_PIECE:
            splits = ((piece[:cut], piece[cut:]) for cut in range(1, len(piece)))
            merges += [(left, right) for left, right in splits if left in parts and right in parts]
    return merges


def _read(data: bytes) -> SentencePieces:
    """Parse the file. Raises ValueError, struct.error or UnicodeDecodeError."""
    pieces: list[tuple[str, float, int]] = []
    trainer: dict[int, int | bytes] = {}
    normalizer: dict[int, int | bytes] = {}
    for number, value in _fields(data):
        if number == 1 and isinstance(value, bytes):
            pieces.append(_piece(value))
        elif number == 2 and isinstance(value, bytes):
            trainer = dict(_fields(value))
        elif number == 3 and isinstance(value, bytes):
            normalizer = dict(_fields(value))
    if not trainer or not 1 < len(pieces) <= MOST_TOKENS:
        raise ValueError("no pieces")
    if len({piece for piece, _, _ in pieces}) < len(pieces):
        raise ValueError("a piece twice")
    named = {"bos_token": (41, 1), "eos_token": (42, 2), "unk_token": (40, 0)}
    ids = {name: _signed(trainer.get(field, usual)) for name, (field, usual) in named.items()}
    return SentencePieces(
        pieces=tuple(pieces),
        model_type=_signed(trainer.get(3, 1)),
        byte_fallback=trainer.get(35) == 1,
        named={name: token_id for name, token_id in ids.items() if 0 <= token_id < len(pieces)},
        space_in_front=normalizer.get(3, 1) == 1,
        # No table of characters to replace, no blanks lost, none written otherwise.
        keeps_text=not normalizer.get(2)
        and normalizer.get(4, 1) == 0
        and normalizer.get(5, 1) == 1
        and trainer.get(24, 0) == 0,
    )


def _piece(data: bytes) -> tuple[str, float, int]:
    """Parse one piece: its text, score and kind."""
    fields = dict(_fields(data))
    text, score, kind = fields.get(1, b""), fields.get(2, b"\0\0\0\0"), fields.get(3, NORMAL)
    if not isinstance(text, bytes) or not isinstance(score, bytes) or not isinstance(kind, int):
        raise ValueError("a piece of another shape")
    value = float(struct.unpack("<f", score)[0])
    if not text or value != value:
        raise ValueError("a piece without text or score")
    return text.decode("utf-8"), value, kind


def _fields(data: bytes) -> Iterator[_Field]:
    """Yield the fields of a message by number: integers, and bytes for all the rest."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        if kind == 0:
            value, at = _varint(data, at)
            yield key >> 3, value
            continue
        if kind == 2:
            length, at = _varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise ValueError("a field of an unknown type")
        if length > len(data) - at:
            raise ValueError("a field that goes past the end")
        yield key >> 3, data[at : at + length]
        at += length


def _varint(data: bytes, at: int) -> tuple[int, int]:
    """Read a variable-length integer; return it and the offset behind it."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise ValueError("a number without end")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return value, at


def _signed(value: int | bytes) -> int:
    """Return a number as signed: -1 stands for none."""
    if not isinstance(value, int):
        raise ValueError("a number of another shape")
    return value - (1 << 64) if value >= 1 << 63 else value
