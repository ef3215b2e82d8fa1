"""Server-sent events of a chat completion, as OpenAI's streaming API and its imitators write them.

Any field may be missing or of another type: what cannot be used is left out.
"""

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from glasschat.backends.remote.errors import Refusal
from glasschat.errors import RemoteRefused
from glasschat.glass import RemoteCandidate

DONE = "[DONE]"
_IMPOSSIBLE = -9999.0
_MOST_TOP = 64


@dataclass(frozen=True, slots=True)
class ToldToken:
    """A token of an event, with the likeliest in its place."""

    chosen: RemoteCandidate
    top: tuple[RemoteCandidate, ...]


@dataclass(frozen=True, slots=True)
class Counted:
    """What a server has counted; None where it says nothing."""

    prompt: int | None
    cached: int | None
    completion: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """What is new of a reply. `thought` is text that the model wrote before its answer, where a
    server keeps that apart. `read` and `to_read` are tokens of the prompt, while it is being read.
    """

    text: str = ""
    thought: str = ""
    tokens: tuple[ToldToken, ...] = ()
    ended: str | None = None
    counted: Counted | None = None
    read: int | None = None
    to_read: int | None = None
    refusal: Refusal | None = None


def read_chunk(data: str, *, secret: str | None = None) -> Chunk:
    """Read the data of an event that is not `[DONE]`. Raises RemoteRefused for what is no event.

    `secret` is taken out of what an error in the stream says.
    """
    try:
        event = json.loads(data)
    except (ValueError, RecursionError):
        event = None
    if not isinstance(event, dict):
        raise RemoteRefused(
            "the server has sent an event that is no JSON object: see whether its address is right"
        )
    if event.get("error"):
        code = _mapping(event["error"]).get("code")
        status = code if type(code) is int and 400 <= code < 600 else 500
        return Chunk(refusal=Refusal.read(status, {}, data.encode(errors="replace"), secret=secret))
    choices = event.get("choices")
    choice = _mapping(choices[0]) if isinstance(choices, list) and choices else {}
    # A whole reply instead of a stream has a message where others have deltas.
    delta = _mapping(choice.get("delta", choice.get("message")))
    progress = _mapping(event.get("prompt_progress"))
    return Chunk(
        text=_text(delta.get("content")) + _text(delta.get("refusal")),
        thought=_text(delta.get("reasoning_content")) or _text(delta.get("reasoning")),
        tokens=tuple(_tokens(choice.get("logprobs"))),
        ended=_text(choice.get("finish_reason")) or None,
        counted=_counted(event.get("usage")),
        read=_count(progress.get("processed")),
        to_read=_count(progress.get("total")),
    )


def _tokens(logprobs: Any) -> Iterator[ToldToken]:
    content = _mapping(logprobs).get("content")
    for item in content if isinstance(content, list) else ():
        chosen = _candidate(item)
        if chosen is None:
            continue
        alternatives = _mapping(item).get("top_logprobs")
        listed = alternatives[:_MOST_TOP] if isinstance(alternatives, list) else []
        top = [candidate for other in listed if (candidate := _candidate(other)) is not None]
        yield ToldToken(chosen, tuple(sorted(top, key=lambda candidate: -candidate.logprob)))


def _candidate(item: Any) -> RemoteCandidate | None:
    fields = _mapping(item)
    written, logprob = fields.get("token"), fields.get("logprob")
    if not isinstance(written, str) or isinstance(logprob, bool):
        return None
    if not isinstance(logprob, int | float) or math.isnan(logprob):
        return None
    return RemoteCandidate(written, _data(fields.get("bytes")), max(float(logprob), _IMPOSSIBLE))


def _data(plain: Any) -> bytes | None:
    try:
        return bytes(plain) if isinstance(plain, list) else None
    except (TypeError, ValueError):
        return None


def _counted(usage: Any) -> Counted | None:
    fields = _mapping(usage)
    if not fields:
        return None
    details = _mapping(fields.get("prompt_tokens_details"))
    return Counted(
        _count(fields.get("prompt_tokens")),
        _count(details.get("cached_tokens")),
        _count(fields.get("completion_tokens")),
    )


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _count(value: Any) -> int | None:
    return value if type(value) is int and 0 <= value < 2**40 else None


LONGEST = 2 * 2**20
"""Bytes of one event: what is longer is no event of a chat."""


class EventReader:
    """Splits a stream into events, by the rules of the HTML standard for lines and fields.

    Only their data matters here. An event that the end of the stream cuts off is none.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_return = False

    def push(self, chunk: bytes) -> list[str]:
        """Return the data of the events that `chunk` completes. Raises RemoteRefused for endless ones."""
        if self._after_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk[-1:] == b"\r"
        # Lines end with \n, \r or both; a \r at the end of a chunk may be half of both.
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > LONGEST:
            raise RemoteRefused(
                "the server has sent an event of more than {longest} MiB, which is no chat "
                "completion: see whether its address is right",
                longest=LONGEST // 2**20,
            )
        return events

    def _line(self, line: bytes) -> str | None:
        if not line:
            data, self._data, self._size = self._data, [], 0
            return b"\n".join(data).decode(errors="replace") if data else None
        name, _, value = line.partition(b":")
        if name == b"data":
            value = value.removeprefix(b" ")
            self._data.append(value)
            self._size += len(value)
        return None
