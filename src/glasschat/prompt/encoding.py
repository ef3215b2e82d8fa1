"""A prompt as token ids, with the origin of each."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypedDict

from glasschat.models.base import Tokenizer

Origin = Literal["template", "system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class Span:
    """The ids from `start` up to `end`, all of one origin.

    `message` is the index of the message whose content they are; None for the template.
    """

    start: int
    end: int
    origin: Origin
    message: int | None


@dataclass(frozen=True, slots=True)
class OpenReply:
    """The part of a reply that exists already: the last `tokens` of a prompt, shown as `text`."""

    tokens: int
    text: str


@dataclass(frozen=True, slots=True)
class PromptEncoding:
    """The ids that the model reads. The spans tile them: in order, without gap or overlap.

    No span is empty. A space that the template writes just before a content often becomes one token
    with its first word; that token counts as content. `open_reply` is set if the prompt ends with a
    reply that is to be continued. `left_out` are the indices of the messages that were left out
    because the context does not hold all of them.
    """

    ids: tuple[int, ...]
    spans: tuple[Span, ...]
    open_reply: OpenReply | None = None
    left_out: tuple[int, ...] = ()

    @property
    def tokens(self) -> int:
        """Return how many ids it has."""
        return len(self.ids)

    @property
    def counted(self) -> bool:
        """Return True: ids are no estimate."""
        return True

    def with_open_reply(self, message: int, ids: Sequence[int], text: str) -> "PromptEncoding":
        """Return the prompt with a reply begun by `ids`, as message number `message`."""
        if not ids:
            return self
        size = len(self.ids)
        span = Span(size, size + len(ids), "assistant", message)
        return PromptEncoding((*self.ids, *ids), (*self.spans, span), OpenReply(len(ids), text))


class SpanRecord(TypedDict):
    """A span as `glasschat prompt --json` prints it."""

    start: int
    end: int
    origin: Origin
    message: int | None
    text: str


def decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    """Return the text of `ids`, control pieces as written, what is no UTF-8 as U+FFFD."""
    return b"".join(map(tokenizer.token_bytes, ids)).decode("utf-8", errors="replace")


def describe(tokenizer: Tokenizer, encoding: PromptEncoding) -> list[SpanRecord]:
    """Return every span of `encoding` with its text, ready for JSON."""
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
