"""A prompt as ids, and where each of them came from."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from glasschat.models.base import Tokenizer

Origin = Literal["template", "system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Span:
    """The ids from `start` up to `end`, all of one origin.

    `message` is the index of the message that they are the content of; None for the template.
    """

    start: int
    end: int
    origin: Origin
    message: int | None


@dataclass(frozen=True, slots=True)
class PromptEncoding:
    """What the model reads. The spans tile `ids`: in order, without gap, overlap or empty span.

    A space that the template writes just before a content often becomes one token with its
    first word; that token counts as content.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]


class SpanRecord(TypedDict):
    """A span as `glasschat prompt --json` prints it."""

    start: int
    end: int
    origin: Origin
    message: int | None
    text: str


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """The text of `ids`, control pieces as written, what is no UTF-8 replaced by U+FFFD."""
    return b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", errors="replace")


def describe(tokenizer: Tokenizer, encoding: PromptEncoding) -> list[SpanRecord]:
    """Every span of `encoding` with its text, ready for JSON."""
    return [
        SpanRecord(
            start=span.start,
            end=span.end,
            origin=span.origin,
            message=span.message,
            text=decode(tokenizer, encoding.ids[span.start : span.end]),
        )
        for span in encoding.spans
    ]
