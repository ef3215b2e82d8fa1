"""Tokenizer of a GGUF, over llama.cpp's low-level calls."""

import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from glasschat.messages import Message
from glasschat.models.llama_cpp import log
from glasschat.models.llama_cpp.library import llama_cpp
from glasschat.models.llama_cpp.vocab import LlamaVocab

# Put in front of a text that must get no space there: a private-use character, which no piece of
# any vocabulary begins with, and a newline for a vocabulary that has no bytes to write it in.
_SENTINELS = ("\U000f0000", "\n")
_SPACE_MARK = "\u2581"


class LlamaTokenizer:
    """Implements Tokenizer for a loaded model. Valid for as long as the model is."""

    def __init__(self, model: Any) -> None:
        """`model` is a llama.cpp model pointer; a vocabulary-only one will do."""
        vocab = LlamaVocab(model)
        self._vocab = vocab
        self._adds_bos = vocab.bos_id is not None and bool(
            llama_cpp.llama_vocab_get_add_bos(vocab.pointer)
        )
        source = llama_cpp.llama_model_chat_template(model, None)
        self._template_source = source.decode(errors="replace") if source else None
        self._sentinels = self._find_sentinels()
        # Found here rather than by llama.cpp, which puts a space after each of them where it puts
        # one in front, and takes minutes for a megabyte of blanks with Gemma's tokens for blanks.
        self._added = vocab.added()
        self._added_pattern = _any_of(self._added)
        self._mistyped_pattern = _any_of(vocab.mistyped)
        # llama.cpp reads this character as a space: its bytes stand for itself.
        bytes_of = vocab.byte_ids() if vocab.sentencepiece else {}
        self._space_mark = [bytes_of[byte] for byte in _SPACE_MARK.encode() if byte in bytes_of]

    @property
    def vocab_size(self) -> int:
        """Return how many ids there are."""
        return self._vocab.size

    @property
    def bos_id(self) -> int | None:
        """Return the begin-of-text token, if the file names one."""
        return self._vocab.bos_id

    @property
    def eos_id(self) -> int | None:
        """Return the end token, if the file names one."""
        return self._vocab.eos_id

    @property
    def adds_bos(self) -> bool:
        """Return whether the file asks for begin-of-text in front of every prompt."""
        return self._adds_bos

    @property
    def end_ids(self) -> frozenset[int]:
        """Return the tokens that llama.cpp takes for the end of a reply."""
        return self._vocab.end_ids

    @property
    def control_ids(self) -> frozenset[int]:
        """Return control, unknown, visible added, end, and mistyped structural tokens."""
        return self._vocab.control_ids

    @property
    def hidden_ids(self) -> frozenset[int]:
        """Return control and unknown tokens, end tokens, mistyped structural ones."""
        return self._vocab.hidden_ids

    @property
    def template_source(self) -> str | None:
        """Return the chat template in the file's metadata."""
        return self._template_source

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of `text`, with nothing put in front of it.

        Inside a text with `control`, a vocabulary that wants a space after a control token gets it,
        as llama.cpp does it: "<s>[INST]" reads as "<s> [INST]".
        """
        if control:
            return self._encode_around(text, self._mistyped_pattern, self._vocab.mistyped, True)
        return self._encode_around(text, self._added_pattern, self._added, False)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token; for a control token, its piece as written."""
        return self._vocab.token_bytes(token_id)

    def _find_sentinels(self) -> list[tuple[str, list[int]]]:
        """Return texts to put in front, if this vocabulary puts a space in front of any text."""
        if self._joined(self._tokenize("\n", False)) == b"\n":
            return []
        written = [(sentinel, self._tokenize(sentinel, False)) for sentinel in _SENTINELS]
        return [(text, ids) for text, ids in written if self._joined(ids) == b" " + text.encode()]

    def _joined(self, ids: list[int]) -> bytes:
        """Return the bytes of `ids`, joined."""
        return b"".join(map(self.token_bytes, ids))

    def _encode_around(
        self, text: str, pattern: re.Pattern[str], known: dict[str, int], control: bool
    ) -> list[int]:
        """Take the pieces of `known` as their ids, and encode what is between them."""
        ids: list[int] = []
        end = 0
        for match in pattern.finditer(text):
            ids += self._encode(text[end : match.start()], control)
            ids.append(known[match.group()])
            end = match.end()
        return ids + self._encode(text[end:] if end else text, control)

    def _encode(self, text: str, control: bool) -> list[int]:
        """Return the ids of a text; a written space mark stands for itself."""
        if not (self._space_mark and _SPACE_MARK in text):
            return self._encode_plain(text, control)
        ids: list[int] = []
        for place, part in enumerate(text.split(_SPACE_MARK)):
            ids += self._space_mark if place else []
            ids += self._encode_plain(part, control)
        return ids

    def _encode_plain(self, text: str, control: bool) -> list[int]:
        """Return the ids of `text` without the space that the vocabulary puts in front."""
        if not text:
            return []
        for sentinel, sentinel_ids in self._sentinels:
            ids = self._tokenize(sentinel + text, control)
            # Unless the vocabulary has joined the two, what follows is the text alone.
            if ids[: len(sentinel_ids)] == sentinel_ids:
                return ids[len(sentinel_ids) :]
        return self._tokenize(text, control)

    def _tokenize(self, text: str, control: bool) -> list[int]:
        """Call llama.cpp's tokenizer, with a buffer that grows if needed."""
        data = text.encode()
        capacity = len(data) + 2
        while True:
            ids = (llama_cpp.llama_token * capacity)()
            count = llama_cpp.llama_tokenize(
                self._vocab.pointer, data, len(data), ids, capacity, False, control
            )
            if count >= 0:
                return list(ids[:count])
            capacity = -count


def _any_of(pieces: dict[str, int]) -> re.Pattern[str]:
    """Return a pattern that matches any of `pieces`, the longest first; none if there is none."""
    longest_first = sorted(pieces, key=len, reverse=True)
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


@contextmanager
def open_vocabulary(path: Path | str) -> Iterator[LlamaTokenizer]:
    """Open the tokenizer of a GGUF without its weights, to look at prompts.

    Takes about 0.2 s for 49,152 tokens. Raises InvalidModel when llama.cpp cannot read it.
    """
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    llama_cpp.llama_backend_init()
    log.silence()
    log.clear_errors()
    model = llama_cpp.llama_model_load_from_file(os.fsencode(path), parameters)
    if not model:
        raise log.load_error(Message("read the vocabulary of {path}", path=path))
    try:
        yield LlamaTokenizer(model)
    finally:
        llama_cpp.llama_model_free(model)
