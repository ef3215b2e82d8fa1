"""What a server told of a reply's tokens, in the database: beside the traces of our own replies.

Texts, bytes and log-probabilities as they came, some 20 candidates a token; compressed, 300 to 400
bytes a token.
"""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from glasschat.glass import Told, ToldCandidate, ToldStep

FORM = 2
"""The first byte; a trace of ours begins with another."""

_HEAD = struct.Struct("<BI")
_LEVEL = 1


def packed_told(steps: Sequence[ToldStep]) -> bytes:
    """What was told of them."""
    rows = [
        [
            step.text,
            None if step.chosen is None else _plain(step.chosen),
            [_plain(candidate) for candidate in step.top],
        ]
        for step in steps
    ]
    body = json.dumps(rows, separators=(",", ":")).encode()
    return _HEAD.pack(FORM, len(rows)) + zlib.compress(body, _LEVEL)


def is_told(data: bytes | memoryview) -> bool:
    """Whether these bytes are of `packed_told`."""
    return bytes(data[:1]) == bytes([FORM])


def unpacked_told(data: bytes | memoryview) -> tuple[ToldStep, ...]:
    """The steps again. Raises ValueError for other bytes."""
    data = bytes(data)
    try:
        form, count = _HEAD.unpack_from(data)
        rows = json.loads(zlib.decompress(data[_HEAD.size :]))
        if form != FORM or len(rows) != count:
            raise ValueError(f"form {form} with {len(rows)} of {count} tokens is not known")
        return tuple(_step(*row) for row in rows)
    except (struct.error, zlib.error, TypeError, AttributeError) as error:
        raise ValueError(f"what a server told is damaged: {error}") from error


def joined(parts: Sequence[bytes]) -> Told:
    """What was told of a run, from all of its parts. Raises ValueError."""
    return Told(tuple(step for part in parts for step in unpacked_told(part)))


def _plain(candidate: ToldCandidate) -> list[Any]:
    """Its bytes are left out where they are its text's."""
    data = candidate.data
    if data is not None and data == candidate.written.encode(errors="surrogatepass"):
        return [candidate.written, candidate.logprob]
    told = None if data is None else b64encode(data).decode()
    return [candidate.written, candidate.logprob, told]


def _step(text: str, chosen: list[Any] | None, top: list[list[Any]]) -> ToldStep:
    own = None if chosen is None else _candidate(*chosen)
    return ToldStep(text, own, tuple(_candidate(*plain) for plain in top))


def _candidate(written: str, logprob: float, data: str | None = "") -> ToldCandidate:
    own = None if data is None else b64decode(data) if data else written.encode()
    return ToldCandidate(written, own, logprob)
