"""What a message says, as ids that can never be control tokens."""

from bisect import bisect_right
from itertools import accumulate, pairwise

from glasschat.errors import InvalidMessage
from glasschat.models.base import Tokenizer


def encode_content(tokenizer: Tokenizer, text: str) -> list[int]:
    """Ids of `text` in which no control id occurs and whose bytes are exactly those of `text`.

    Some tokenizers turn a piece such as `<think>` into its structural token even when asked to
    read it as text. The text is then cut after the first character of every such piece and its
    parts are encoded apart, until none is left. Nothing is ever removed.

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


def _cuts(tokenizer: Tokenizer, text: str, ids: list[int]) -> list[int]:
    """Where to cut `text`, in characters, so that its control ids go away."""
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
                    f"this model has {pieces[index].decode(errors='replace')!r} as a control "
                    f"token only, and cannot read it as text: leave it out"
                )
            cuts.append(cut)
    return cuts


def _unwritable(tokenizer: Tokenizer, text: str, data: bytes, written: bytes) -> InvalidMessage:
    at = next(
        (i for i, (a, b) in enumerate(zip(data, written, strict=False)) if a != b),
        min(len(data), len(written)),
    )
    position = min(len(data[:at].decode(errors="ignore")), len(text) - 1)
    character = text[position]
    return InvalidMessage(
        f"this model's vocabulary cannot write {character!r} (U+{ord(character):04X}, "
        f"character {position} of the text): leave it out"
    )
