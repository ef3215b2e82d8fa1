"""The body of /v1/chat/completions."""

from typing import Annotated, Literal

from pydantic import Field

from glasschat.api.errors import invalid
from glasschat.api.fields import MOST_TOP_LOGPROBS, ReplySettings, Wire, setting
from glasschat.api.response_format import ResponseFormat, TextFormat
from glasschat.api.unsupported import ChatUnsupported, MessageUnsupported
from glasschat.prompt import ChatMessage, Role


class TextPart(Wire):
    """A part of a content that is made of several."""

    type: Literal["text"]
    text: str


class Message(MessageUnsupported):
    """One turn. Parts of a content are joined by a line break."""

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="developer is the newer word for system. A last turn of the assistant is "
        "the beginning of the reply, which goes on from there."
    )
    content: str | list[TextPart]

    def as_turn(self) -> ChatMessage:
        """The turn as templates know it."""
        role: Role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return ChatMessage(role, self.content)
        return ChatMessage(role, "\n".join(part.text for part in self.content))


class ChatRequest(ReplySettings, ChatUnsupported):
    """A conversation that wants a reply."""

    messages: Annotated[list[Message], Field(min_length=1)]
    max_completion_tokens: int | None = setting("max_new_tokens")
    logprobs: bool | None = Field(
        None, description="The raw log-probability of every token, before any stage."
    )
    top_logprobs: int | None = Field(
        None, ge=0, le=MOST_TOP_LOGPROBS, description="With logprobs: of the likeliest too."
    )

    response_format: ResponseFormat | None = Field(None, description="What the reply has to be.")

    def check(self) -> None:
        """What goes together and what does not. Raises ApiError."""
        check_stream(self)
        if self.ignore_eos and self.response_format not in (None, TextFormat(type="text")):
            raise invalid(
                "ignore_eos does not go with response_format: JSON comes to an end", "ignore_eos"
            )
        if self.top_logprobs is not None and not self.logprobs:
            raise invalid("top_logprobs goes with logprobs: true", "top_logprobs")
        if None not in (self.max_tokens, self.max_completion_tokens) and (
            self.max_tokens != self.max_completion_tokens
        ):
            raise invalid(
                "max_tokens and max_completion_tokens are two names of one limit: give one",
                "max_completion_tokens",
            )

    @property
    def limit(self) -> int | None:
        """The most tokens of the reply, under either name."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def shown_candidates(self) -> int | None:
        """How many of the likeliest tokens are told of; None for no log-probabilities at all."""
        return (self.top_logprobs or 0) if self.logprobs else None


def check_stream(request: ReplySettings) -> None:
    """Raise ApiError for options of a stream without one."""
    options = request.stream_options
    if options is None:
        return
    if not request.stream:
        raise invalid("stream_options goes with stream: true", "stream_options")
    if options.continuous_usage_stats and not options.include_usage:
        raise invalid(
            "continuous_usage_stats goes with include_usage: true",
            "stream_options.continuous_usage_stats",
        )
