"""Vocabulary of a GGUF: what llama.cpp says of it, and what has to be found out besides."""

import ctypes
import re
from typing import Any

from glasschat.errors import InvalidModel
from glasschat.messages import Message
from glasschat.models.llama_cpp.library import llama_cpp

# A piece of this shape is structure even where the file's author typed it as a normal token:
# no text is made of it by accident.
_STRUCTURAL = re.compile(r"<\|[^\s|<>]{1,64}\|>|</?(?:start|end)_of_turn>|\[/?INST\]")
_SPACE_MARK = "\u2581"
_PIECE_BYTES = 256
_UTF8_BYTES = frozenset(range(0xF5)) - {0xC0, 0xC1}


class LlamaVocab:
    """The tokens of a loaded model, each with its bytes and its kind."""

    def __init__(self, model: Any) -> None:
        """`model` is a llama.cpp model pointer; a vocabulary-only one will do."""
        self.pointer = llama_cpp.llama_model_get_vocab(model)
        self.size: int = llama_cpp.llama_vocab_n_tokens(self.pointer)
        if self.size < 1:
            raise InvalidModel("the model has no vocabulary: it is not one that can chat")
        self.attributes = [
            int(llama_cpp.llama_vocab_get_attr(self.pointer, token_id))
            for token_id in range(self.size)
        ]
        self._bytes: list[bytes | None] = [None] * self.size
        kind = llama_cpp.llama_vocab_type(self.pointer)
        self.sentencepiece = kind == llama_cpp.LLAMA_VOCAB_TYPE_SPM
        self._check_bytes()
        self.bos_id = self._named(model, "bos", llama_cpp.llama_vocab_bos(self.pointer))
        self.eos_id = self._named(model, "eos", llama_cpp.llama_vocab_eos(self.pointer))
        self.end_ids = self._find_end_ids()
        self.mistyped = self._find_mistyped()
        self.hidden_ids = self._find_hidden_ids()
        self.control_ids = self.hidden_ids | self._find_visible_structure()

    def text(self, token_id: int) -> bytes:
        """Return the vocabulary's own spelling of the token."""
        return bytes(llama_cpp.llama_vocab_get_text(self.pointer, token_id) or b"")

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; for a control token, its piece as written."""
        if not 0 <= token_id < self.size:
            raise IndexError(f"token {token_id} is not in a vocabulary of {self.size:,}")
        known = self._bytes[token_id]
        if known is None:
            known = self._bytes[token_id] = self._piece(token_id)
        return known

    def of_kind(self, attribute: int) -> list[int]:
        """Return the tokens that have any of the bits of `attribute`."""
        return [token_id for token_id, bits in enumerate(self.attributes) if bits & attribute]

    def byte_ids(self) -> dict[int, int]:
        """Return the token of each byte that has one of its own."""
        bytes_of = ((self.token_bytes(i), i) for i in self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_BYTE))
        return {piece[0]: token_id for piece, token_id in bytes_of if len(piece) == 1}

    def added(self) -> dict[str, int]:
        """Return the added tokens by their spelling; llama.cpp finds them in any text."""
        ids = self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED)
        return {self.text(i).decode(errors="replace"): i for i in ids if self.text(i)}

    def _check_bytes(self) -> None:
        """Raise InvalidModel for a vocabulary that lacks a byte: llama.cpp would abort."""
        if not self.sentencepiece:
            return
        missing = _UTF8_BYTES.difference(self.byte_ids())
        # For an ASCII byte it takes the letter itself.
        letters = missing & set(range(128))
        if letters:
            texts = set(map(self.text, self.of_kind(~llama_cpp.LLAMA_TOKEN_ATTR_BYTE)))
            missing -= {byte for byte in letters if bytes([byte]) in texts}
        if missing:
            raise InvalidModel(
                "the model's vocabulary has no token for {count} of the bytes that text is made "
                "of, such as 0x{missing:02X}: {advice}",
                count=len(missing),
                missing=min(missing),
                advice=Message("convert it anew, with byte fallback"),
            )

    def _piece(self, token_id: int) -> bytes:
        """Return the bytes of a token from llama.cpp."""
        size = _PIECE_BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama_cpp.llama_token_to_piece(self.pointer, token_id, buffer, size, 0, True)
            if length >= 0:
                break
            size = -length
        unused = not length and self.attributes[token_id] & llama_cpp.LLAMA_TOKEN_ATTR_UNUSED
        return self.text(token_id) if unused else buffer.raw[:length]

    def _named(self, model: Any, name: str, token_id: int) -> int | None:
        """Return `token_id`, if the file names it.

        Where it does not, llama.cpp assumes numbers of GPT-2 and Llama 2: the first of these mean
        an ordinary word in another vocabulary.
        """
        if not 0 <= token_id < self.size:
            return None
        key = f"tokenizer.ggml.{name}_token_id".encode()
        named = llama_cpp.llama_model_meta_val_str(model, key, ctypes.create_string_buffer(32), 32)
        control = self.attributes[token_id] & llama_cpp.LLAMA_TOKEN_ATTR_CONTROL
        return token_id if named >= 0 or (self.sentencepiece and control) else None

    def _find_end_ids(self) -> frozenset[int]:
        """Return llama.cpp's end tokens, without one that it only assumes."""
        ends = {i for i in range(self.size) if llama_cpp.llama_vocab_is_eog(self.pointer, i)}
        if self.eos_id is None:
            assumed = llama_cpp.llama_vocab_eos(self.pointer)
            ends -= {assumed} & set(self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_NORMAL))
        return frozenset(ends)

    def _find_mistyped(self) -> dict[str, int]:
        """Return structural pieces that have the type of ordinary words, by their spelling."""
        found: dict[str, int] = {}
        for token_id in self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_NORMAL):
            spelled = self.text(token_id).decode(errors="replace")
            named = token_id == self.bos_id or token_id in self.end_ids
            if named or (spelled[:1] in "<[" and _STRUCTURAL.fullmatch(spelled)):
                found[spelled] = token_id
        return found

    def _find_hidden_ids(self) -> frozenset[int]:
        """Return control, unknown, mistyped and end tokens, without single bytes."""
        always = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        hidden = {*self.of_kind(always), *self.mistyped.values(), *self.end_ids}
        if self.bos_id is not None:
            hidden.add(self.bos_id)
        return frozenset(hidden.difference(self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_BYTE)))

    def _find_visible_structure(self) -> frozenset[int]:
        """Return the added tokens that readers are meant to see."""
        found = set()
        for token_id in self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED):
            # Runs of blanks are added tokens as well, but no structure.
            piece = self.token_bytes(token_id).decode(errors="replace")
            if len(piece) > 1 and piece.strip(" \t\r\n" + _SPACE_MARK):
                found.add(token_id)
        return frozenset(found.difference(self.of_kind(llama_cpp.LLAMA_TOKEN_ATTR_BYTE)))
