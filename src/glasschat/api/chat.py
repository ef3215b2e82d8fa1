"""/v1/chat/completions: a conversation, and replies to it."""

from typing import Any

from glasschat.api.chat_request import ChatRequest
from glasschat.api.format import Header, Shown, fields_of, glass_of, told_steps
from glasschat.api.replies import Choice, Piece
from glasschat.api.response_format import constraint_of
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
from glasschat.backends import LocalBackend
from glasschat.engine import Generation
from glasschat.sampling import SamplingParams


class ChatFormat:
    """Implements Format. Raises InvalidMessage for messages that no template can take."""

    id_prefix = "chatcmpl"
    source = "messages"
    prompts = 1

    def __init__(self, request: ChatRequest) -> None:
        self._messages = [message.as_turn() for message in request.messages]
        self._wanted = request.response_format

    def start(
        self, backend: LocalBackend, prompt: int, params: SamplingParams, *, trace: bool
    ) -> Generation:
        """See Format.start."""
        constraint = constraint_of(self._wanted, backend.vocabulary)
        return backend.start(self._messages, params, trace=trace, constraint=constraint)

    def opening(self, header: Header, choice: Choice) -> ChatChunk:
        """Whose turn it is."""
        delta = Delta(role="assistant", content="")
        return _chunk(
            header,
            ChunkChoice(index=choice.index, delta=delta, logprobs=None, finish_reason=None),
        )

    def event(
        self, header: Header, choice: Choice, piece: Piece, shown: Shown, usage: Usage | None
    ) -> ChatChunk:
        """See Format.event."""
        return _chunk(
            header,
            ChunkChoice(
                index=choice.index,
                delta=Delta() if piece.ended else Delta(content=piece.text),
                logprobs=None if piece.ended else _logprobs(choice, piece, shown),
                finish_reason=piece.ended,
                **glass_of(piece, shown),
            ),
            usage,
        )

    def usage_event(self, header: Header, usage: Usage) -> ChatChunk:
        """See Format.usage_event."""
        return ChatChunk(
            object="chat.completion.chunk", choices=[], usage=usage, **fields_of(header)
        )

    def whole(
        self, header: Header, choices: list[tuple[Choice, Piece]], shown: Shown, usage: Usage
    ) -> ChatCompletion:
        """See Format.whole."""
        return ChatCompletion(
            object="chat.completion",
            choices=[
                ChatChoice(
                    index=choice.index,
                    message=ReplyMessage(role="assistant", content=piece.text, refusal=None),
                    logprobs=_logprobs(choice, piece, shown),
                    finish_reason=piece.ended or "stop",
                    **glass_of(piece, shown),
                )
                for choice, piece in choices
            ],
            usage=usage,
            **fields_of(header),
        )


def _chunk(header: Header, choice: ChunkChoice, usage: Usage | None = None) -> ChatChunk:
    more: dict[str, Any] = {} if usage is None else {"usage": usage}
    return ChatChunk(object="chat.completion.chunk", choices=[choice], **fields_of(header), **more)


def _logprobs(choice: Choice, piece: Piece, shown: Shown) -> ChatLogprobs | None:
    if shown.top is None:
        return None
    return chat_logprobs(told_steps(piece, choice), shown.top, shown.token_bytes)
