"""What chat and completions do each in their own way."""

from dataclasses import dataclass
from typing import Any, Protocol

from glasschat.api.replies import Choice, Piece
from glasschat.api.responses import Answer, Usage
from glasschat.api.tokens import TokenBytes, records
from glasschat.backends import LocalBackend
from glasschat.engine import Generation, Step
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class Header:
    """What every object of one response begins with. `created` is in seconds of Unix time."""

    id: str
    created: int
    model: str
    system_fingerprint: str


@dataclass(frozen=True, slots=True)
class Shown:
    """What is told of tokens: `top` likeliest, None for no log-probabilities; their records."""

    top: int | None
    records: bool
    token_bytes: TokenBytes

    @property
    def of_tokens(self) -> bool:
        """Whether anything is: then every token is sent, also one without text of its own."""
        return self.top is not None or self.records


class Format(Protocol):
    """A kind of request for replies, read once; its answers."""

    id_prefix: str
    source: str
    """The field that the prompts come from."""

    @property
    def prompts(self) -> int:
        """How many there are."""

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """Begin a reply to that prompt. Not for the event loop. Raises GlasschatError, ApiError."""

    def opening(self, header: Header, choice: Choice) -> Answer | None:
        """The event that comes before any text of a choice."""

    def event(
        self, header: Header, choice: Choice, piece: Piece, shown: Shown, usage: Usage | None
    ) -> Answer:
        """The event for a piece; the reason of the end has one of its own."""

    def usage_event(self, header: Header, usage: Usage) -> Answer:
        """The event without choices."""

    def whole(
        self, header: Header, choices: list[tuple[Choice, Piece]], shown: Shown, usage: Usage
    ) -> Answer:
        """All of it at once."""


def told_steps(piece: Piece, choice: Choice) -> tuple[Step, ...]:
    """The tokens of a piece that belong to the text: no end token."""
    ends = choice.generation.request.ending_ids
    return tuple(step for step in piece.steps if step.token_id not in ends)


def glass_of(piece: Piece, shown: Shown) -> dict[str, Any]:
    """The records of a piece's tokens as a field of a choice; no field unless they are shown."""
    return {"glass": records(piece.steps, shown.token_bytes)} if shown.records else {}


def fields_of(header: Header) -> dict[str, Any]:
    """As the fields of an answer."""
    return {
        "id": header.id,
        "created": header.created,
        "model": header.model,
        "system_fingerprint": header.system_fingerprint,
    }
