"""Sequence breakers: texts that end a repeat, as the token ids that they may be written with."""

from collections.abc import Iterable, Mapping
from typing import Protocol, runtime_checkable
from weakref import WeakKeyDictionary

from glasschat.sampling.stages import Stage

Breakers = Mapping[int, tuple[tuple[int, ...], ...]]
"""By the first token of a breaker: the ids that have to follow it, none where it is one token."""

_MOST_BYTES, _MOST_TAIL = 40, 20


class Vocabulary(Protocol):
    """The part of a tokenizer that is needed to find a text in its tokens."""

    @property
    def vocab_size(self) -> int:
        """Return the number of token ids."""

    def encode(self, text: str, *, control: bool) -> list[int]:
        """Return the ids of a text."""

    def token_bytes(self, token_id: int) -> bytes:
        """Return the bytes of a token."""


@runtime_checkable
class BreakerStage(Stage, Protocol):
    """A stage with sequence breakers, which a request resolves for it before the reply begins."""

    breaker_texts: tuple[str, ...]

    def with_breakers(self, breakers: Breakers) -> Stage:
        """Return the stage with its texts resolved."""


_resolved: "WeakKeyDictionary[Vocabulary, dict[str, Breakers]]" = WeakKeyDictionary()


def resolve_breakers(texts: Iterable[str], vocabulary: Vocabulary) -> Breakers:
    """Return where each text may begin in a token, and the ids of what is left of it then.

    As llama.cpp: a token that contains the text breaks alone; one that ends as the text begins
    breaks when the rest follows. At most 40 bytes of a text and 20 ids of a rest count. A text is
    looked for once in each vocabulary.
    """
    known = _resolved.setdefault(vocabulary, {})
    found: dict[int, tuple[tuple[int, ...], ...]] = {}
    for text in texts:
        if text not in known:
            known[text] = _resolve(text.encode()[:_MOST_BYTES], vocabulary)
        for head, tails in known[text].items():
            found[head] = (*found.get(head, ()), *tails)
    return found


def _resolve(text: bytes, vocabulary: Vocabulary) -> Breakers:
    found: dict[int, tuple[tuple[int, ...], ...]] = {}
    for token_id in range(vocabulary.vocab_size):
        word = vocabulary.token_bytes(token_id)
        if text in word:
            found[token_id] = ((),)
            continue
        tails: list[tuple[int, ...]] = []
        for length in range(min(len(word), len(text) - 1), 0, -1):
            if word.endswith(text[:length]):
                rest = vocabulary.encode(text[length:].decode(errors="ignore"), control=False)
                tails.append(tuple(rest[:_MOST_TAIL]))
        if tails:
            found[token_id] = tuple(dict.fromkeys(tails))
    return found
