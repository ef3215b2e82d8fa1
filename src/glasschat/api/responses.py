"""Pydantic models of the responses. A field that is not set is not sent."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

WireFinishReason = Literal["stop", "length"]


class ResponseModel(BaseModel):
    """Base of all JSON objects in responses."""

    model_config = ConfigDict(extra="forbid")

    def to_bytes(self) -> bytes:
        """Return the JSON in UTF-8, without fields that were not set."""
        return self.model_dump_json(exclude_unset=True).encode()


class PromptDetails(ResponseModel):
    """Details about the tokens of the prompts."""

    cached_tokens: int = Field(description="Those that were in a cache and not computed anew.")


class Usage(ResponseModel):
    """Numbers of tokens of a whole request. End tokens count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Candidate(ResponseModel):
    """A token and its log-probability in the raw logits, before any sampling stage."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(Candidate):
    """A token of the reply, with the likeliest tokens at its place."""

    top_logprobs: list[Candidate]


class ChatLogprobs(ResponseModel):
    """Log-probabilities of the tokens of a reply, without the end token."""

    content: list[TokenLogprob]
    refusal: None


class CompletionLogprobs(ResponseModel):
    """Log-probabilities in the form of /v1/completions.

    `text_offset` has the place of each token in characters from the start of the text.
    """

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


TraceRecords = list[dict[str, Any]]
"""With glass: true, for each token how it was chosen."""


class ReplyMessage(ResponseModel):
    """The reply as a message of the assistant."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(ResponseModel):
    """One reply to a conversation."""

    index: int
    message: ReplyMessage
    logprobs: ChatLogprobs | None
    finish_reason: WireFinishReason
    glass: TraceRecords = []


class ChatCompletion(ResponseModel):
    """The replies to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(ResponseModel):
    """New text of a reply."""

    role: Literal["assistant"] = "assistant"
    content: str = ""


class ChunkChoice(ResponseModel):
    """What is new of one choice in a stream."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: WireFinishReason | None
    glass: TraceRecords = []


class ChatChunk(ResponseModel):
    """One event of a chat stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class TextChoice(ResponseModel):
    """One completion of a prompt; in a stream, the new text of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: WireFinishReason | None
    glass: TraceRecords = []


class Completion(ResponseModel):
    """The completions of the prompts; in a stream, one event."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage | None = None
