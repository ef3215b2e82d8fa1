"""A GGUF's vocabulary, over llama.cpp's low-level calls."""

import ctypes
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llama_cpp

from glasschat.errors import InvalidModel
from glasschat.models import llama_log

# A piece of this shape is structure even where the file's author typed it as a normal token:
# no text is made of it by accident.
_STRUCTURAL = re.compile(r"<\|[^\s|<>]{1,64}\|>|</?(?:start|end)_of_turn>|\[/?INST\]")
# Put in front of a text that must get no space there: a private-use character, which no piece of
# any vocabulary begins with, and a newline for a vocabulary that has no bytes to write it in.
_SENTINELS = ("\U000f0000", "\n")
_SPACE_MARK = "\u2581"
_BYTES = 256


class LlamaTokenizer:
    """The `Tokenizer` of a loaded model. Valid for as long as the model is.

    Beside the protocol: `eos_id`, the token that templates call eos_token.
    """

    def __init__(self, model: Any) -> None:
        """`model` is a llama.cpp model pointer; a vocabulary-only one will do."""
        vocab = llama_cpp.llama_model_get_vocab(model)
        self._vocab = vocab
        self._vocab_size: int = llama_cpp.llama_vocab_n_tokens(vocab)
        if self._vocab_size < 1:
            raise InvalidModel("the model has no vocabulary: it is not one that can chat")
        ids = range(self._vocab_size)
        attributes = [llama_cpp.llama_vocab_get_attr(vocab, token_id) for token_id in ids]
        self._attributes = attributes
        self._bytes: list[bytes | None] = [None] * self._vocab_size
        self._spm = llama_cpp.llama_vocab_type(vocab) == llama_cpp.LLAMA_VOCAB_TYPE_SPM
        self._bos_id = self._known(llama_cpp.llama_vocab_bos(vocab))
        self._eos_id = self._known(llama_cpp.llama_vocab_eos(vocab))
        self._adds_bos = bool(llama_cpp.llama_vocab_get_add_bos(vocab))
        self._end_ids = frozenset(i for i in ids if llama_cpp.llama_vocab_is_eog(vocab, i))
        self._mistyped = self._find_mistyped()
        self._control_ids = self._find_control_ids()
        longest_first = sorted(self._mistyped, key=len, reverse=True)
        self._mistyped_pattern = re.compile("|".join(map(re.escape, longest_first)) or "(?!)")
        # The ids of each byte, for a character that llama.cpp itself would turn into another.
        self._byte_ids = self._find_byte_ids() if self._spm else {}
        self._sentinels = self._find_sentinels()
        source = llama_cpp.llama_model_chat_template(model, None)
        self._template_source = source.decode(errors="replace") if source else None

    @property
    def vocab_size(self) -> int:
        """How many ids there are."""
        return self._vocab_size

    @property
    def bos_id(self) -> int | None:
        """The begin-of-text token, if the model has one."""
        return self._bos_id

    @property
    def eos_id(self) -> int | None:
        """The end token that the file names, if it names one."""
        return self._eos_id

    @property
    def adds_bos(self) -> bool:
        """Whether the file asks for begin-of-text in front of every prompt."""
        return self._adds_bos

    @property
    def end_ids(self) -> frozenset[int]:
        """The tokens that llama.cpp takes for the end of a reply."""
        return self._end_ids

    @property
    def control_ids(self) -> frozenset[int]:
        """Control and unknown tokens, visible added ones, end tokens, mistyped structural ones."""
        return self._control_ids

    @property
    def template_source(self) -> str | None:
        """The chat template in the file's metadata."""
        return self._template_source

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Ids of `text`, with nothing put in front of it.

        Inside a text with `control`, a vocabulary that wants a space after a control token gets
        it, as llama.cpp does it: "<s>[INST]" reads as "<s> [INST]".
        """
        return self._encode_mistyped(text) if control else self._encode(text, False)

    def token_bytes(self, token_id: int) -> bytes:
        """The bytes that the token stands for; for a control token, its piece as written."""
        if not 0 <= token_id < self._vocab_size:
            raise IndexError(f"token {token_id} is not in a vocabulary of {self._vocab_size:,}")
        known = self._bytes[token_id]
        if known is None:
            known = self._bytes[token_id] = self._piece(token_id)
        return known

    def _known(self, token_id: int) -> int | None:
        return token_id if 0 <= token_id < self._vocab_size else None

    def _piece(self, token_id: int) -> bytes:
        size = _BYTES
        while True:
            buffer = ctypes.create_string_buffer(size)
            length = llama_cpp.llama_token_to_piece(self._vocab, token_id, buffer, size, 0, True)
            if length >= 0:
                break
            size = -length
        unused = not length and self._attributes[token_id] & llama_cpp.LLAMA_TOKEN_ATTR_UNUSED
        return self._text(token_id) if unused else buffer.raw[:length]

    def _text(self, token_id: int) -> bytes:
        """How the vocabulary itself spells the token."""
        return bytes(llama_cpp.llama_vocab_get_text(self._vocab, token_id) or b"")

    def _find_mistyped(self) -> dict[str, int]:
        normal = llama_cpp.LLAMA_TOKEN_ATTR_NORMAL
        found: dict[str, int] = {}
        for token_id, attribute in enumerate(self._attributes):
            if attribute & normal:
                spelled = self._text(token_id).decode(errors="replace")
                named = token_id == self._bos_id or token_id in self._end_ids
                if named or (spelled[:1] in "<[" and _STRUCTURAL.fullmatch(spelled)):
                    found[spelled] = token_id
        return found

    def _find_control_ids(self) -> frozenset[int]:
        always = llama_cpp.LLAMA_TOKEN_ATTR_CONTROL | llama_cpp.LLAMA_TOKEN_ATTR_UNKNOWN
        added = llama_cpp.LLAMA_TOKEN_ATTR_USER_DEFINED
        control = {*self._mistyped.values(), *self._end_ids}
        for token_id, attribute in enumerate(self._attributes):
            if attribute & always:
                control.add(token_id)
            elif attribute & added:
                # llama.cpp matches these in any text. Runs of blanks are added tokens as well,
                # but no structure.
                piece = self.token_bytes(token_id).decode(errors="replace")
                if len(piece) > 1 and piece.strip(" \t\r\n" + _SPACE_MARK):
                    control.add(token_id)
        if self._bos_id is not None:
            control.add(self._bos_id)
        byte = llama_cpp.LLAMA_TOKEN_ATTR_BYTE
        return frozenset(i for i in control if not self._attributes[i] & byte)

    def _find_byte_ids(self) -> dict[int, int]:
        byte = llama_cpp.LLAMA_TOKEN_ATTR_BYTE
        return {
            self.token_bytes(token_id)[0]: token_id
            for token_id, attribute in enumerate(self._attributes)
            if attribute & byte and len(self.token_bytes(token_id)) == 1
        }

    def _find_sentinels(self) -> list[tuple[str, list[int]]]:
        """What to put in front, if this vocabulary puts a space in front of any text."""
        if self._joined(self._tokenize("\n", False)) == b"\n":
            return []
        written = [(sentinel, self._tokenize(sentinel, False)) for sentinel in _SENTINELS]
        return [(text, ids) for text, ids in written if self._joined(ids) == b" " + text.encode()]

    def _joined(self, ids: list[int]) -> bytes:
        return b"".join(map(self.token_bytes, ids))

    def _encode_mistyped(self, text: str) -> list[int]:
        ids: list[int] = []
        end = 0
        for match in self._mistyped_pattern.finditer(text):
            ids += self._encode(text[end : match.start()], True)
            ids.append(self._mistyped[match.group()])
            end = match.end()
        return ids + self._encode(text[end:], True)

    def _encode(self, text: str, control: bool) -> list[int]:
        if not (self._byte_ids and _SPACE_MARK in text):
            return self._encode_plain(text, control)
        # llama.cpp reads this character as a space. Its bytes stand for itself.
        mark = [self._byte_ids[byte] for byte in _SPACE_MARK.encode() if byte in self._byte_ids]
        ids: list[int] = []
        for place, part in enumerate(text.split(_SPACE_MARK)):
            ids += mark if place else []
            ids += self._encode_plain(part, control)
        return ids

    def _encode_plain(self, text: str, control: bool) -> list[int]:
        if not text:
            return []
        for sentinel, sentinel_ids in self._sentinels:
            ids = self._tokenize(sentinel + text, control)
            # Unless the vocabulary has joined the two, what follows is the text alone.
            if ids[: len(sentinel_ids)] == sentinel_ids:
                return ids[len(sentinel_ids) :]
        return self._tokenize(text, control)

    def _tokenize(self, text: str, control: bool) -> list[int]:
        data = text.encode()
        capacity = len(data) + 2
        while True:
            ids = (llama_cpp.llama_token * capacity)()
            count = llama_cpp.llama_tokenize(
                self._vocab, data, len(data), ids, capacity, False, control
            )
            if count >= 0:
                return list(ids[:count])
            capacity = -count


@contextmanager
def open_vocabulary(path: Path | str) -> Iterator[LlamaTokenizer]:
    """The tokenizer of a GGUF without its weights: for looking at prompts.

    Takes about 0.1 s for 49,152 tokens. Raises InvalidModel when llama.cpp cannot read it.
    """
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    llama_cpp.llama_backend_init()
    llama_log.silence()
    llama_log.forget_errors()
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
    if not model:
        reason = llama_log.last_errors() or "it gave no reason"
        raise InvalidModel(f"llama.cpp cannot read the vocabulary of {path}: {reason}")
    try:
        yield LlamaTokenizer(model)
    finally:
        llama_cpp.llama_model_free(model)
