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
_MAX_TOP = 64


@dataclass(frozen=True, slots=True)
class TokenLogprobs:
    """Log-probability of a token, and those of the likeliest candidates in its place."""

    chosen: RemoteCandidate
    top: tuple[RemoteCandidate, ...]


@dataclass(frozen=True, slots=True)
class UsageCounts:
    """Token counts of a prompt, of its cached part and of a reply; None where not reported."""

    prompt: int | None
    cached: int | None
    completion: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """The new part of a reply, from one event.

    `thought` is reasoning before the answer, where a server sends it separately. `read` and
    `to_read` are tokens of the prompt, during the prefill.
    """

    text: str = ""
    thought: str = ""
    tokens: tuple[TokenLogprobs, ...] = ()
    finish_reason: str | None = None
    counts: UsageCounts | None = None
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
        finish_reason=_text(choice.get("finish_reason")) or None,
        counts=_usage_counts(event.get("usage")),
        read=_count(progress.get("processed")),
        to_read=_count(progress.get("total")),
    )


def _tokens(logprobs: Any) -> Iterator[TokenLogprobs]:
    content = _mapping(logprobs).get("content")
    for item in content if isinstance(content, list) else ():
        chosen = _candidate(item)
        if chosen is None:
            continue
        alternatives = _mapping(item).get("top_logprobs")
        listed = alternatives[:_MAX_TOP] if isinstance(alternatives, list) else []
        top = [candidate for other in listed if (candidate := _candidate(other)) is not None]
        yield TokenLogprobs(chosen, tuple(sorted(top, key=lambda candidate: -candidate.logprob)))


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


def _usage_counts(usage: Any) -> UsageCounts | None:
    fields = _mapping(usage)
    if not fields:
        return None
    details = _mapping(fields.get("prompt_tokens_details"))
    return UsageCounts(
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


MAX_EVENT_BYTES = 2 * 2**20
"""Maximum size of one event in bytes; a longer one is no event of a chat."""


class EventReader:
    """Splits a stream into events, by the rules of the HTML standard for lines and fields.

    Only the data of events is used. An event that the end of the stream cuts off is dropped.
    """

    def __init__(self) -> None:
        self._rest = b""
        self._data: list[bytes] = []
        self._size = 0
        self._after_return = False

    def push(self, chunk: bytes) -> list[str]:
        """Return the data of the events that `chunk` completes.

        Raises RemoteRefused for an event of more than MAX_EVENT_BYTES.
        """
        if self._after_return and chunk[:1] == b"\n":
            chunk = chunk[1:]
        if chunk:
            self._after_return = chunk[-1:] == b"\r"
        # Lines end with \n, \r or both; a \r at the end of a chunk may be half of both.
        lines = (self._rest + chunk).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop()
        events = [event for line in lines if (event := self._line(line)) is not None]
        if len(self._rest) + self._size > MAX_EVENT_BYTES:
            raise RemoteRefused(
                "the server has sent an event of more than {longest} MiB, which is no chat "
                "completion: see whether its address is right",
                longest=MAX_EVENT_BYTES // 2**20,
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
