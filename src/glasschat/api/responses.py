"""What goes back over the wire. A field that is not set is not sent."""

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

FinishedBecause = Literal["stop", "length"]


class Answer(BaseModel):
    """A JSON object of a response."""

    model_config = ConfigDict(extra="forbid")

    def wire(self) -> bytes:
        """Its JSON, without what was not set."""
        return self.model_dump_json(exclude_unset=True).encode()


class PromptDetails(Answer):
    """Of the tokens of a prompt."""

    cached_tokens: int = Field(description="Those that were in a cache and not computed anew.")


class Usage(Answer):
    """Tokens of a whole request; end tokens count."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: PromptDetails


class Candidate(Answer):
    """A token and its raw log-probability, before any stage."""

    token: str
    logprob: float
    bytes: list[int]


class TokenLogprob(Candidate):
    """A token of the reply, and the likeliest ones in its place."""

    top_logprobs: list[Candidate]


class ChatLogprobs(Answer):
    """Of the tokens of a reply; the end token is not among them."""

    content: list[TokenLogprob]
    refusal: None


class CompletionLogprobs(Answer):
    """The same in the form of /v1/completions; offsets count characters from the text's start."""

    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


Records = list[dict[str, Any]]
"""With glass: true, for each token how it was chosen."""


class ReplyMessage(Answer):
    """The reply as a turn."""

    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(Answer):
    """One reply."""

    index: int
    message: ReplyMessage
    logprobs: ChatLogprobs | None
    finish_reason: FinishedBecause
    glass: Records = []


class ChatCompletion(Answer):
    """The replies to a conversation."""

    id: str
    object: Literal["chat.completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChatChoice]
    usage: Usage


class Delta(Answer):
    """What is new of a reply."""

    role: Literal["assistant"] = "assistant"
    content: str = ""


class ChunkChoice(Answer):
    """What is new of one choice."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None
    finish_reason: FinishedBecause | None
    glass: Records = []


class ChatChunk(Answer):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[ChunkChoice]
    usage: Usage | None = None


class TextChoice(Answer):
    """One text, or in a stream what is new of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None
    finish_reason: FinishedBecause | None
    glass: Records = []


class Completion(Answer):
    """The texts that go on from the prompts; in a stream, one event."""

    id: str
    object: Literal["text_completion"]
    created: int
    model: str
    system_fingerprint: str
    choices: list[TextChoice]
    usage: Usage | None = None
