"""/v1/chat/completions: the body of a request, and the responses to it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from glasschat.api.errors import invalid_request
from glasschat.api.fields import (
    MOST_TOP_LOGPROBS,
    ReplySettings,
    RequestModel,
    check_stream_options,
    setting,
)
from glasschat.api.format import ResponseInfo, TokenDetails, text_steps, trace_field
from glasschat.api.replies import Choice, Piece
from glasschat.api.response_format import ResponseFormat, TextFormat, constraint_of
from glasschat.api.responses import (
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatLogprobs,
    ChunkChoice,
    Delta,
    ReplyMessage,
    Usage,
)
from glasschat.api.tokens import chat_logprobs
from glasschat.api.unsupported import ChatUnsupported, MessageUnsupported
from glasschat.backends import LocalBackend
from glasschat.engine import Generation
from glasschat.prompt import ChatMessage, Role
from glasschat.sampling import SamplingParams


class TextPart(RequestModel):
    """A text part of a content that is made of several parts."""

    type: Literal["text"]
    text: str


class Message(MessageUnsupported):
    """One message of the conversation. Parts of its content are joined by a line break."""

    role: Literal["system", "developer", "user", "assistant"] = Field(
        description="developer is the newer word for system. A last turn of the assistant is "
        "the beginning of the reply, which goes on from there."
    )
    content: str | list[TextPart]

    def to_chat_message(self) -> ChatMessage:
        """Return the message in the form that templates take."""
        role: Role = "system" if self.role == "developer" else self.role
        if isinstance(self.content, str):
            return ChatMessage(role, self.content)
        return ChatMessage(role, "\n".join(part.text for part in self.content))


class ChatRequest(ReplySettings, ChatUnsupported):
    """Body of a request for replies to a conversation."""

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
        """Check which fields go together. Raises ApiError (400)."""
        check_stream_options(self)
        if self.ignore_eos and self.response_format not in (None, TextFormat(type="text")):
            raise invalid_request(
                "ignore_eos does not go with response_format: JSON comes to an end", "ignore_eos"
            )
        if self.top_logprobs is not None and not self.logprobs:
            raise invalid_request("top_logprobs goes with logprobs: true", "top_logprobs")
        if None not in (self.max_tokens, self.max_completion_tokens) and (
            self.max_tokens != self.max_completion_tokens
        ):
            raise invalid_request(
                "max_tokens and max_completion_tokens are two names of one limit: give one",
                "max_completion_tokens",
            )

    @property
    def limit(self) -> int | None:
        """Return the maximum number of tokens of the reply, under either of its two names."""
        return self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens

    @property
    def shown_candidates(self) -> int | None:
        """Return how many of the likeliest tokens to list, None for no log-probabilities."""
        return (self.top_logprobs or 0) if self.logprobs else None


class ChatFormat:
    """Reads a chat request and writes its responses; implements ReplyFormat.

    Raises InvalidMessage for messages that no template can take.
    """

    id_prefix = "chatcmpl"
    prompt_field = "messages"
    prompt_count = 1

    def __init__(self, request: ChatRequest) -> None:
        self._messages = [message.to_chat_message() for message in request.messages]
        self._response_format = request.response_format

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """Submit the conversation to the backend. Raises GlasschatError, ApiError.

        May take long: call it outside the event loop.
        """
        constraint = constraint_of(self._response_format, backend.vocabulary)
        return backend.start(self._messages, params, trace=trace, constraint=constraint)

    def first_event(self, info: ResponseInfo, choice: Choice) -> ChatChunk:
        """Return the event that names the role of the reply."""
        delta = Delta(role="assistant", content="")
        return _chunk(
            info,
            ChunkChoice(index=choice.index, delta=delta, logprobs=None, finish_reason=None),
        )

    def event(
        self,
        info: ResponseInfo,
        choice: Choice,
        piece: Piece,
        details: TokenDetails,
        usage: Usage | None,
    ) -> ChatChunk:
        """Return the event for new text of a choice, or for its end."""
        return _chunk(
            info,
            ChunkChoice(
                index=choice.index,
                delta=Delta() if piece.finish_reason else Delta(content=piece.text),
                logprobs=None if piece.finish_reason else _logprobs(choice, piece, details),
                finish_reason=piece.finish_reason,
                **trace_field(piece, details),
            ),
            usage,
        )

    def usage_event(self, info: ResponseInfo, usage: Usage) -> ChatChunk:
        """Return the last event of a stream, which has the usage and no choices."""
        return ChatChunk(object="chat.completion.chunk", choices=[], usage=usage, **info.fields())

    def response(
        self,
        info: ResponseInfo,
        choices: list[tuple[Choice, Piece]],
        details: TokenDetails,
        usage: Usage,
    ) -> ChatCompletion:
        """Return the response with all choices, for a request without a stream."""
        return ChatCompletion(
            object="chat.completion",
            choices=[
                ChatChoice(
                    index=choice.index,
                    message=ReplyMessage(role="assistant", content=piece.text, refusal=None),
                    logprobs=_logprobs(choice, piece, details),
                    finish_reason=piece.finish_reason or "stop",
                    **trace_field(piece, details),
                )
                for choice, piece in choices
            ],
            usage=usage,
            **info.fields(),
        )


def _chunk(info: ResponseInfo, choice: ChunkChoice, usage: Usage | None = None) -> ChatChunk:
    more: dict[str, Any] = {} if usage is None else {"usage": usage}
    return ChatChunk(object="chat.completion.chunk", choices=[choice], **info.fields(), **more)


def _logprobs(choice: Choice, piece: Piece, details: TokenDetails) -> ChatLogprobs | None:
    if details.top_logprobs is None:
        return None
    return chat_logprobs(text_steps(piece, choice), details.top_logprobs, details.token_bytes)
