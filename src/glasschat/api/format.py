"""What chat and completions have in common: a request for replies, and its responses."""

from dataclasses import dataclass
from typing import Any, Protocol

from glasschat.api.replies import Choice, Piece
from glasschat.api.responses import ResponseModel, Usage
from glasschat.api.tokens import TokenBytes, trace_records
from glasschat.backends import LocalBackend
from glasschat.engine import Generation, Step
from glasschat.sampling import SamplingParams


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """Fields that every object of one response begins with. `created` is Unix time in seconds."""

    id: str
    created: int
    model: str
    system_fingerprint: str

    def fields(self) -> dict[str, Any]:
        """Return these as keyword arguments of a response model."""
        return {
            "id": self.id,
            "created": self.created,
            "model": self.model,
            "system_fingerprint": self.system_fingerprint,
        }


@dataclass(frozen=True, slots=True)
class TokenDetails:
    """Details of each token that a response has.

    `top_logprobs` is how many of the likeliest tokens are listed, None for no log-probabilities.
    `traces` says whether the records of the choice are sent (`glass: true`).
    """

    top_logprobs: int | None
    traces: bool
    token_bytes: TokenBytes

    @property
    def requested(self) -> bool:
        """Return whether any detail is sent. Tokens without text of their own are sent then too."""
        return self.top_logprobs is not None or self.traces


class ReplyFormat(Protocol):
    """One request for replies in the format of its endpoint, and the responses to it."""

    id_prefix: str
    prompt_field: str
    """Name of the field that has the prompts, for errors about them."""

    @property
    def prompt_count(self) -> int:
        """Return the number of prompts in the request."""

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """Submit prompt number `prompt` to the backend. Raises GlasschatError, ApiError.

        May take long: call it outside the event loop.
        """

    def first_event(self, info: ResponseInfo, choice: Choice) -> ResponseModel | None:
        """Return the event that comes before any text of a choice, None for no such event."""

    def event(
        self,
        info: ResponseInfo,
        choice: Choice,
        piece: Piece,
        details: TokenDetails,
        usage: Usage | None,
    ) -> ResponseModel:
        """Return the event for new text of a choice, or for its end.

        The finish reason comes in an event of its own, whose piece has no text.
        """

    def usage_event(self, info: ResponseInfo, usage: Usage) -> ResponseModel:
        """Return the last event of a stream, which has the usage and no choices."""

    def response(
        self,
        info: ResponseInfo,
        choices: list[tuple[Choice, Piece]],
        details: TokenDetails,
        usage: Usage,
    ) -> ResponseModel:
        """Return the response with all choices, for a request without a stream."""


def text_steps(piece: Piece, choice: Choice) -> tuple[Step, ...]:
    """Return the tokens of a piece that belong to the text: all but end tokens."""
    ending_ids = choice.generation.request.ending_ids
    return tuple(step for step in piece.steps if step.token_id not in ending_ids)


def trace_field(piece: Piece, details: TokenDetails) -> dict[str, Any]:
    """Return the field `glass` of a choice with the records of its tokens, {} if not requested."""
    return {"glass": trace_records(piece.steps, details.token_bytes)} if details.traces else {}
