"""What another server told of tokens, as bytes of the table `traces`."""

import json
import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from typing import Any

from glasschat.chat.store.trace_packing import ZLIB_LEVEL
from glasschat.glass import RemoteCandidate, RemoteToken, RemoteTrace

FORM = 2
"""The first byte. `trace_packing` writes another, and both kinds stand in one table."""

_HEAD = struct.Struct("<BI")


def pack_remote_tokens(steps: Sequence[RemoteToken]) -> bytes:
    """Pack tokens: a head with their number, then compressed JSON."""
    rows = [
        [
            step.text,
            None if step.chosen is None else _candidate_as_json(step.chosen),
            [_candidate_as_json(candidate) for candidate in step.top],
        ]
        for step in steps
    ]
    body = json.dumps(rows, separators=(",", ":")).encode()
    return _HEAD.pack(FORM, len(rows)) + zlib.compress(body, ZLIB_LEVEL)


def is_remote(data: bytes | memoryview) -> bool:
    """Return whether these bytes are of `pack_remote_tokens`."""
    return bytes(data[:1]) == bytes([FORM])


def unpack_remote_tokens(data: bytes | memoryview) -> tuple[RemoteToken, ...]:
    """Return the tokens of packed bytes. Raises ValueError for any other bytes."""
    data = bytes(data)
    try:
        form, count = _HEAD.unpack_from(data)
        rows = json.loads(zlib.decompress(data[_HEAD.size :]))
        if form != FORM or len(rows) != count:
            raise ValueError(f"form {form} with {len(rows)} of {count} tokens is not known")
        return tuple(_unpack_token(*row) for row in rows)
    except (struct.error, zlib.error, TypeError, AttributeError) as error:
        raise ValueError(f"what a server told is damaged: {error}") from error


def join_remote_tokens(parts: Sequence[bytes]) -> RemoteTrace:
    """Return the trace of a run from all of its parts, in order. Raises ValueError."""
    return RemoteTrace(tuple(step for part in parts for step in unpack_remote_tokens(part)))


def _candidate_as_json(candidate: RemoteCandidate) -> list[Any]:
    """Return a candidate as JSON; its bytes are left out where they are those of its text."""
    data = candidate.data
    if data is not None and data == candidate.written.encode(errors="surrogatepass"):
        return [candidate.written, candidate.logprob]
    encoded = None if data is None else b64encode(data).decode()
    return [candidate.written, candidate.logprob, encoded]


def _unpack_token(text: str, chosen: list[Any] | None, top: list[list[Any]]) -> RemoteToken:
    candidate = None if chosen is None else _unpack_candidate(*chosen)
    return RemoteToken(text, candidate, tuple(_unpack_candidate(*plain) for plain in top))


def _unpack_candidate(written: str, logprob: float, data: str | None = "") -> RemoteCandidate:
    raw = None if data is None else b64decode(data) if data else written.encode()
    return RemoteCandidate(written, raw, logprob)
