"""Tokens of a folder's tokenizer: the bytes of each, and which of them are no text."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.hf.config_json import MOST_TOKENS
from glasschat.models.hf.fast_tokenizer import component_parts

SPACE_MARK = "\u2581"
_BYTE = re.compile(r"<0x([0-9A-F]{2})>")
_BLANK = " \t\r\n" + SPACE_MARK


class HfVocab:
    """Vocabulary of `size` ids, each with its bytes. Ids behind the last token are padding.

    A model's embedding often has more rows than there are tokens, rounded up; those rows have no
    text.
    """

    def __init__(self, backend: Any, size: int) -> None:
        """`backend` is a `tokenizers.Tokenizer`; a `size` of 0 is that of its vocabulary."""
        added = backend.get_added_tokens_decoder()
        ids = backend.get_vocab(with_added_tokens=True)
        ordinary = (i for i in ids.values() if i not in added)
        last = max(ordinary, default=-1)
        self.size = size or max(last, *added, 0) + 1
        if max(last, self.size) > MOST_TOKENS:
            raise InvalidModel(
                "the tokenizer claims a token {last:,}, which no model has: {advice}",
                last=max(last, self.size - 1),
                advice=Message("download it again"),
            )
        if last >= self.size:
            raise InvalidModel(
                "the tokenizer has {last:,} tokens and the model an embedding for {size:,}: the "
                "tokenizer is another model's",
                last=last + 1,
                size=self.size,
            )
        self._pieces: list[str | None] = [None] * self.size
        for piece, token_id in ids.items():
            if token_id < self.size:
                self._pieces[token_id] = piece
        # Some fine-tunes name a padding token that their embedding has no row for.
        self.added = {i: token for i, token in added.items() if i < self.size}
        for token_id, token in self.added.items():
            self._pieces[token_id] = token.content
        self._bytes: list[bytes | None] = [None] * self.size
        kinds = {part["type"] for part in component_parts(backend.decoder)}
        before = {part["type"] for part in component_parts(backend.pre_tokenizer)}
        self.byte_level = "ByteLevel" in kinds | before
        self.sentencepiece = not self.byte_level and bool(kinds & {"ByteFallback", "Metaspace"})
        if not self.byte_level and not self.sentencepiece:
            named = ", ".join(sorted(kinds)) or type(backend.model).__name__
            raise InvalidModel(
                "the tokenizer is of a kind that does not keep a text as it is ({named}): it is "
                "not that of a model that can chat",
                named=named,
            )

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; for an added token, its piece as written."""
        if not 0 <= token_id < self.size:
            raise IndexError(f"token {token_id} is not in a vocabulary of {self.size:,}")
        known = self._bytes[token_id]
        if known is None:
            known = self._bytes[token_id] = self._spelled(token_id)
        return known

    def byte_ids(self) -> dict[int, int]:
        """Return the token of each byte that a sentencepiece vocabulary has one for."""
        if not self.sentencepiece:
            return {}
        matches = ((i, _BYTE.fullmatch(p)) for i, p in enumerate(self._pieces) if p and p[0] == "<")
        return {int(match[1], 16): i for i, match in matches if match and i not in self.added}

    def blanks(self) -> dict[str, int]:
        """Return the added tokens for runs of blanks, by their spelling: text like any other."""
        return {
            token.content: token_id
            for token_id, token in self.added.items()
            if not token.special and not token.content.strip(_BLANK)
        }

    def hidden_ids(self, named: Iterable[int]) -> frozenset[int]:
        """Return special tokens, those `named` by the folder's files, and padding."""
        special = {i for i, token in self.added.items() if token.special}
        padding = {i for i, piece in enumerate(self._pieces) if piece is None}
        return frozenset(special | padding | set(named))

    def visible_structure(self) -> frozenset[int]:
        """Return the added tokens that readers are meant to see, such as Qwen3's `<think>`."""
        return frozenset(
            token_id
            for token_id, token in self.added.items()
            if len(token.content) > 1 and token.content.strip(_BLANK)
        )

    def _spelled(self, token_id: int) -> bytes:
        """Decode the bytes of a token from its piece."""
        piece = self._pieces[token_id] or ""
        if token_id in self.added:
            return piece.encode()
        if self.byte_level:
            return b"".join(_BYTES_OF.get(c) or c.encode() for c in piece)
        match = _BYTE.fullmatch(piece)
        return bytes([int(match[1], 16)]) if match else piece.replace(SPACE_MARK, " ").encode()


def _letters() -> Mapping[str, bytes]:
    """Return the byte of each letter that byte-level vocabularies write, as in GPT-2's."""
    shown = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {chr(byte): bytes([byte]) for byte in shown}
    return letters | {chr(256 + place): bytes([byte]) for place, byte in enumerate(hidden)}


_BYTES_OF = _letters()
