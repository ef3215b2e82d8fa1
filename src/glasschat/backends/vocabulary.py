"""A model's tokens, for what has no template: texts as they are, single tokens, grammars."""

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import cached_property
from typing import Any

from glasschat.backends.grammars import Grammars
from glasschat.engine import IncrementalDetokenizer
from glasschat.errors import EngineStopped, InvalidMessage, ParameterError
from glasschat.models.base import Tokenizer
from glasschat.prompt import encode_raw_text
from glasschat.sampling import Grammar

Guard = Callable[[], AbstractContextManager[object]]


class Vocabulary:
    """Safe to use from any thread. `guard` keeps the tokenizer from being closed meanwhile, and
    raises EngineStopped where it is; it may take a while to come by, so single tokens, which the
    server's event loop asks for, have a lock of their own.
    """

    def __init__(self, tokenizer: Tokenizer, guard: Guard) -> None:
        self._tokenizer = tokenizer
        self._guard = guard
        self._grammars: Grammars | None = None
        self._lock = threading.Lock()
        self._reading = threading.Lock()
        self._closed = False

    def close(self) -> None:
        """Read no more: the tokenizer's memory is about to be freed."""
        with self._reading:
            self._closed = True

    def encode(self, text: str, *, control: bool, opened: bool) -> list[int]:
        """See `prompt.encode_raw_text`. Raises InvalidMessage, EngineStopped."""
        with self._guard():
            return encode_raw_text(self._tokenizer, text, control=control, opened=opened)

    def token_bytes(self, token_id: int) -> bytes:
        """What the token stands for.

        Raises ParameterError for an id beyond the vocabulary, EngineStopped once it is closed.
        """
        size = self._tokenizer.vocab_size
        if not 0 <= token_id < size:
            raise ParameterError("token_id", f"a token id below {size:,}", token_id)
        with self._reading:
            if self._closed:
                raise EngineStopped("the model is not loaded any more: ask again in a moment")
            return self._tokenizer.token_bytes(token_id)

    @cached_property
    def control_pieces(self) -> frozenset[str]:
        """How the control tokens are written; only a template puts them into a prompt."""
        pieces = map(self.token_bytes, self._tokenizer.control_ids)
        return frozenset(piece.decode(errors="replace") for piece in pieces if len(piece) > 2)

    def text_of(self, ids: Sequence[int]) -> str:
        """See Backend.text_of."""
        with self._guard():
            size = self._tokenizer.vocab_size
            foreign = [i for i in ids if not 0 <= i < size]
            if foreign:
                raise InvalidMessage(
                    f"the reply holds token {foreign[0]}, and this model has {size:,} tokens: "
                    "another model wrote it, so ask anew"
                )
            tokenizer = self._tokenizer
            detokenizer = IncrementalDetokenizer(tokenizer.token_bytes, tokenizer.hidden_ids)
            return "".join(map(detokenizer.push, ids))

    def json_grammar(self, schema: Mapping[str, Any] | None = None) -> Grammar:
        """See `Grammars.json`. Raises ParameterError, EngineStopped."""
        with self._lock:
            if self._grammars is None:
                with self._guard():
                    self._grammars = Grammars(self._tokenizer)
        return self._grammars.json(schema)
