"""Encoding of texts: contents without control tokens, and raw texts with them."""

from array import array
from bisect import bisect_right
from collections import OrderedDict
from itertools import accumulate, pairwise
from threading import Lock

from glasschat.errors import InvalidMessage
from glasschat.models.base import Tokenizer

REMEMBERED_CHARACTERS = 2_000_000


class ContentEncoder:
    """Encodes contents, and caches the ids: every turn encodes all turns before it again.

    It keeps the ids of as many texts as have `REMEMBERED_CHARACTERS` together. Safe to use from any
    thread.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._lock = Lock()
        self._remembered: OrderedDict[str, array[int]] = OrderedDict()
        self._characters = 0

    def encode(self, text: str) -> list[int]:
        """Return the ids of `text`, as `encode_content` does."""
        return self._ids(text).tolist()

    def count(self, text: str) -> int:
        """Return how many ids `text` has."""
        return len(self._ids(text))

    def _ids(self, text: str) -> "array[int]":
        """Return the ids of `text` from the cache, or encode it."""
        with self._lock:
            found = self._remembered.get(text)
            if found is not None:
                self._remembered.move_to_end(text)
                return found
        ids = array("i", encode_content(self._tokenizer, text))
        with self._lock:
            if text not in self._remembered:
                self._remembered[text] = ids
                self._characters += len(text)
            while self._characters > REMEMBERED_CHARACTERS:
                forgotten, _ = self._remembered.popitem(last=False)
                self._characters -= len(forgotten)
        return ids


def encode_content(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return ids of `text` in which no control id occurs and whose bytes are exactly the text's.

    Some tokenizers turn a piece such as `<think>` into its structural token even when asked to read
    it as text. The text is then cut after the first character of every such piece and its parts are
    encoded apart, until none is left. Nothing is ever removed.

    Raises InvalidMessage where the vocabulary has no other way to write the text.
    """
    ids: list[int] = []
    waiting = [text]
    while waiting:
        part = waiting.pop()
        part_ids = tokenizer.encode(part, control=False)
        cuts = _cuts(tokenizer, part, part_ids)
        if cuts:
            waiting.extend(part[a:b] for a, b in reversed([*pairwise([0, *cuts, len(part)])]))
        else:
            ids += part_ids
    return ids


def encode_raw_text(
    tokenizer: Tokenizer, text: str, *, control: bool, opened: bool = True
) -> list[int]:
    """Return the ids of a text whose author has applied a template, or wants none.

    Begin-of-text goes in front, once, if `opened` and the model asks for it. With `control`, pieces
    such as `<|im_end|>` become their tokens; without, the text holds no control id, whatever it
    says. Raises InvalidMessage for what the vocabulary cannot write.
    """
    ids = tokenizer.encode(text, control=True) if control else encode_content(tokenizer, text)
    bos = tokenizer.bos_id
    if opened and tokenizer.adds_bos and bos is not None and ids[:1] != [bos]:
        ids.insert(0, bos)
    return ids


def _cuts(tokenizer: Tokenizer, text: str, ids: list[int]) -> list[int]:
    """Return where to cut `text`, in characters, so that its control ids go away."""
    pieces = [tokenizer.token_bytes(token_id) for token_id in ids]
    data = text.encode()
    written = b"".join(pieces)
    if written != data:
        raise _unwritable(tokenizer, text, data, written)
    control = tokenizer.control_ids
    if control.isdisjoint(ids):
        return []
    # The byte at which each character ends, and the byte at which each id begins.
    ends = [*accumulate(len(character.encode()) for character in text)]
    begins = [0, *accumulate(map(len, pieces))]
    cuts = []
    for index, token_id in enumerate(ids):
        if token_id in control:
            cut = bisect_right(ends, begins[index]) + 1
            if cut >= len(text) or ends[cut - 1] >= begins[index + 1]:
                raise InvalidMessage(
                    "this model has {piece} as a control token only, and cannot read it as "
                    "text: leave it out",
                    piece=repr(pieces[index].decode(errors="replace")),
                )
            cuts.append(cut)
    return cuts


def _unwritable(tokenizer: Tokenizer, text: str, data: bytes, written: bytes) -> InvalidMessage:
    """Return the error for the first character that the vocabulary cannot write."""
    at = next(
        (i for i, (a, b) in enumerate(zip(data, written, strict=False)) if a != b),
        min(len(data), len(written)),
    )
    position = min(len(data[:at].decode(errors="ignore")), len(text) - 1)
    character = text[position]
    return InvalidMessage(
        "this model's vocabulary cannot write {character} (U+{code:04X}, character "
        "{position} of the text): leave it out",
        character=repr(character),
        code=ord(character),
        position=position,
    )
