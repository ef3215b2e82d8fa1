"""Grammars over a model's tokens: JSON, and JSON of a schema, by llguidance."""

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from llguidance import LLMatcher, LLTokenizer, TokenizerWrapper
from numpy.typing import NDArray

from glasschat.errors import ParameterError, ReplyFailed
from glasschat.models.base import Tokenizer
from glasschat.sampling import Grammar

if TYPE_CHECKING:
    from llguidance._lib import JsonCompileOptions

ANY_OBJECT: Mapping[str, Any] = {"type": "object"}

# Room to indent by, and an end to it: small models write white space for as long as they may.
_OPTIONS: "JsonCompileOptions" = {"whitespace_pattern": r"[\x20\x0A\x0D\x09]{1,40}"}


class Grammars:
    """Builds grammars for one vocabulary, which is read once. Safe to use from any thread."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._vocab_size = tokenizer.vocab_size
        self._ll_tokenizer = _build_ll_tokenizer(tokenizer)

    def json(self, schema: Mapping[str, Any] | None = None) -> Grammar:
        """Return a stage for one reply, which will be one JSON object, or what `schema` describes.

        Raises ParameterError for a schema that has no meaning, or a part of one that cannot be
        enforced.
        """
        source = json.dumps(ANY_OBJECT if schema is None else schema)
        try:
            grammar = LLMatcher.grammar_from_json_schema(source, overrides=_OPTIONS)
        except ValueError as error:
            raise _schema_error(str(error)) from None
        matcher = LLMatcher(self._ll_tokenizer, grammar, log_level=0)
        if matcher.is_error():
            raise _schema_error(matcher.get_error())
        return Grammar(_Matcher(matcher, self._vocab_size))


class _Matcher:
    """Follows one reply through a grammar."""

    def __init__(self, matcher: LLMatcher, vocab_size: int) -> None:
        self._matcher = matcher
        self._vocab_size = vocab_size
        self._seen: list[int] = []

    def allowed(self, ids: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which tokens may follow `ids`, int64 [length]: a mask, bool [vocab_size].

        Raises ReplyFailed for ids that the grammar does not allow.
        """
        wanted = ids.tolist()
        if wanted[: len(self._seen)] != self._seen:
            self._matcher.reset()
            self._seen = []
        new = wanted[len(self._seen) :]
        if new and not self._matcher.consume_tokens(new):
            raise ReplyFailed("the reply has left the grammar that response_format asks for")
        self._seen = wanted
        bits = np.frombuffer(self._matcher.compute_bitmask(), np.uint8)
        mask: NDArray[np.bool_] = np.unpackbits(bits, bitorder="little")[: self._vocab_size].view(
            np.bool_
        )
        return mask


def _build_ll_tokenizer(tokenizer: Tokenizer) -> LLTokenizer:
    """Return the vocabulary in llguidance's own form."""
    ends = sorted(tokenizer.end_ids)
    return LLTokenizer(
        TokenizerWrapper(_Vocabulary(tokenizer)),
        n_vocab=tokenizer.vocab_size,
        eos_token=ends,
        slices=LLTokenizer.json_slices(),
    )


class _Vocabulary:
    """Adapter from Tokenizer to the interface that llguidance reads."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self.eos_token_id = min(tokenizer.end_ids)
        self.bos_token_id = tokenizer.bos_id
        self.tokens = [tokenizer.token_bytes(i) for i in range(tokenizer.vocab_size)]
        self.special_token_ids = sorted(tokenizer.control_ids)

    def __call__(self, text: str | bytes) -> list[int]:
        """Return the ids of `text`; no control tokens are made of it."""
        if isinstance(text, bytes):
            text = text.decode("utf-8", errors="replace")
        return self._tokenizer.encode(text, control=False)


def _schema_error(reason: str) -> ParameterError:
    """Return the error for a schema, with the first line of llguidance's reason."""
    first = reason.strip().partition("\n")[0]
    return ParameterError("schema", "a JSON schema that can be held to", first)
