"""/tokenize and /detokenize: ids of a text or a conversation, and back."""

from typing import Annotated, Self

from anyio import to_thread
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from glasschat.api.admission import AdmissionControl
from glasschat.api.chat_request import Message
from glasschat.api.fields import Wire
from glasschat.api.parse import read_body
from glasschat.api.responses import Answer
from glasschat.api.sse import send_json

MOST_IDS = 2**20


class TokenizeRequest(Wire):
    """A text, or a conversation as its reply would read it."""

    model: str | None = None
    prompt: str | None = Field(None, description="A text.")
    messages: Annotated[list[Message], Field(min_length=1)] | None = Field(
        None, description="A conversation, put into the model's template."
    )
    add_special_tokens: bool | None = Field(
        None, description="For a text: begin-of-text in front, if the model asks for it (true)."
    )
    parse_special: bool | None = Field(
        None, description="For a text: whether pieces such as <|im_end|> are control tokens (true)."
    )
    return_token_strs: bool | None = Field(None, description="The text of every token too.")

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give prompt or messages, one of them")
        return self


class Tokenized(Answer):
    """Ids, how many, and how many a conversation may have."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(Wire):
    """Token ids."""

    model: str | None = None
    tokens: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MOST_IDS)]


class Detokenized(Answer):
    """Their text; control tokens as written, what is no UTF-8 as U+FFFD."""

    prompt: str


class Tokenizing:
    """The two endpoints."""

    def __init__(self, desk: AdmissionControl) -> None:
        self._desk = desk

    async def tokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError, GlasschatError."""
        body = await read_body(Request(scope, receive), TokenizeRequest)
        served = self._desk.ready()
        self._desk.check_model(body.model, served.name)
        ids = await to_thread.run_sync(self._ids, body)
        answer = Tokenized(count=len(ids), max_model_len=served.context, tokens=ids)
        if body.return_token_strs:
            pieces = map(self._desk.backend.vocabulary.token_bytes, ids)
            answer.token_strs = [piece.decode(errors="replace") for piece in pieces]
        await send_json(send, answer)

    async def detokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request. Raises ApiError, GlasschatError."""
        body = await read_body(Request(scope, receive), DetokenizeRequest)
        served = self._desk.ready()
        self._desk.check_model(body.model, served.name)
        data = b"".join(map(self._desk.backend.vocabulary.token_bytes, body.tokens))
        await send_json(send, Detokenized(prompt=data.decode(errors="replace")))

    def _ids(self, body: TokenizeRequest) -> list[int]:
        if body.messages is not None:
            turns = [message.as_turn() for message in body.messages]
            return list(self._desk.backend.encode(turns).ids)
        assert body.prompt is not None
        return self._desk.backend.vocabulary.encode(
            body.prompt,
            control=body.parse_special is not False,
            opened=body.add_special_tokens is not False,
        )
