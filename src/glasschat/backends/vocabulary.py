"""A model's tokens without a template: raw texts, single tokens, grammars."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from glasschat.backends.grammars import Grammars
from glasschat.engine import IncrementalDetokenizer
from glasschat.errors import EngineStopped, InvalidMessage, ParameterError
from glasschat.messages import Message
from glasschat.models.base import Tokenizer
from glasschat.prompt import encode_raw_text
from glasschat.sampling import Grammar

OpenGuard = Callable[[], AbstractContextManager[object]]


class Vocabulary:
    """Access to a model's tokens for the API. Safe to use from any thread.

    `guard` keeps the tokenizer open meanwhile, and raises EngineStopped where it is closed. It may
    take a while to get, so single tokens, which the server's event loop asks for, have a lock of
    their own.
    """

    def __init__(self, tokenizer: Tokenizer, guard: OpenGuard) -> None:
        self._tokenizer = tokenizer
        self._guard = guard
        self._grammars: Grammars | None = None
        self._grammars_lock = threading.Lock()
        self._bytes_lock = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Refuse further reads: the tokenizer's memory is about to be freed."""
        with self._bytes_lock:
            self._closed = True

    def encode(self, text: str, *, control: bool, opened: bool) -> list[int]:
        """Return the ids of a raw text. Raises InvalidMessage, EngineStopped."""
        with self._guard():
            return encode_raw_text(self._tokenizer, text, control=control, opened=opened)

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token.

        Raises ParameterError for an id beyond the vocabulary, EngineStopped once it is closed.
        """
        size = self._tokenizer.vocab_size
        if not 0 <= token_id < size:
            raise ParameterError(
                "token_id", Message("a token id below {size:,}", size=size), token_id
            )
        with self._bytes_lock:
            if self._closed:
                raise EngineStopped("the model is not loaded any more: ask again in a moment")
            return self._tokenizer.token_bytes(token_id)

    @cached_property
    def control_pieces(self) -> frozenset[str]:
        """Return the texts of the control tokens; only a template puts them into a prompt."""
        pieces = map(self.token_bytes, self._tokenizer.control_ids)
        return frozenset(piece.decode(errors="replace") for piece in pieces if len(piece) > 2)

    def text_of(self, ids: Sequence[int]) -> str:
        """Return the text of the first `ids` of a reply.

        Raises InvalidMessage for ids of another model, EngineStopped once it is closed.
        """
        with self._guard():
            size = self._tokenizer.vocab_size
            foreign = [i for i in ids if not 0 <= i < size]
            if foreign:
                raise InvalidMessage(
                    "the reply holds token {foreign}, and this model has {size:,} tokens: "
                    "another model wrote it, so ask anew",
                    foreign=foreign[0],
                    size=size,
                )
            tokenizer = self._tokenizer
            detokenizer = IncrementalDetokenizer(tokenizer.token_bytes, tokenizer.hidden_ids)
            return "".join(map(detokenizer.push, ids))

    def json_grammar(self, schema: Mapping[str, Any] | None = None) -> Grammar:
        """Return a stage for one reply in JSON, of `schema` if given.

        Raises ParameterError, EngineStopped.
        """
        with self._grammars_lock:
            if self._grammars is None:
                with self._guard():
                    self._grammars = Grammars(self._tokenizer)
        return self._grammars.json(schema)
