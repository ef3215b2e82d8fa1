"""/tokenize and /detokenize: token ids of a text or a conversation, and back."""

from typing import Annotated, Self

from anyio import to_thread
from pydantic import Field, model_validator
from starlette.requests import Request
from starlette.types import Receive, Scope, Send

from glasschat.api.admission import AdmissionControl
from glasschat.api.chat import Message
from glasschat.api.fields import RequestModel
from glasschat.api.parse import read_body
from glasschat.api.responses import ResponseModel
from glasschat.api.sse import send_json

MOST_IDS = 2**20


class TokenizeRequest(RequestModel):
    """A text to encode, or a conversation to encode as the prompt of its next reply."""

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
    def _require_one_of_both(self) -> Self:
        if (self.prompt is None) == (self.messages is None):
            raise ValueError("give prompt or messages, one of them")
        return self


class Tokenized(ResponseModel):
    """Token ids and their number. `max_model_len` is the context of the model in tokens."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class DetokenizeRequest(RequestModel):
    """Token ids to decode into a text."""

    model: str | None = None
    tokens: Annotated[list[Annotated[int, Field(ge=0)]], Field(max_length=MOST_IDS)]


class Detokenized(ResponseModel):
    """The text of token ids. Control tokens are spelled out; invalid UTF-8 becomes U+FFFD."""

    prompt: str


class TokenizeEndpoints:
    """ASGI handlers of /tokenize and /detokenize."""

    def __init__(self, admission: AdmissionControl) -> None:
        self._admission = admission

    async def tokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Encode a text or a conversation. Raises ApiError, GlasschatError."""
        body = await read_body(Request(scope, receive), TokenizeRequest)
        served = self._admission.state.require_model(body.model)
        ids = await to_thread.run_sync(self._encode, body)
        response = Tokenized(count=len(ids), max_model_len=served.context, tokens=ids)
        if body.return_token_strs:
            pieces = map(self._admission.backend.vocabulary.token_bytes, ids)
            response.token_strs = [piece.decode(errors="replace") for piece in pieces]
        await send_json(send, response)

    async def detokenize(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Decode token ids. Raises ApiError, GlasschatError."""
        body = await read_body(Request(scope, receive), DetokenizeRequest)
        self._admission.state.require_model(body.model)
        data = b"".join(map(self._admission.backend.vocabulary.token_bytes, body.tokens))
        await send_json(send, Detokenized(prompt=data.decode(errors="replace")))

    def _encode(self, body: TokenizeRequest) -> list[int]:
        if body.messages is not None:
            messages = [message.to_chat_message() for message in body.messages]
            return list(self._admission.backend.encode(messages).ids)
        assert body.prompt is not None
        return self._admission.backend.vocabulary.encode(
            body.prompt,
            control=body.parse_special is not False,
            opened=body.add_special_tokens is not False,
        )
