"""What is served, and whether it can be asked: /v1/models, /health, /ready."""

import time
from typing import Literal

from starlette.types import Receive, Scope, Send

from glasschat.api.admission import ServerState
from glasschat.api.errors import ApiError
from glasschat.api.responses import Answer
from glasschat.api.sse import send_json
from glasschat.backends import Readiness

MODELS = "/v1/models"


class ModelCard(Answer):
    """A model that can be asked for. `max_model_len` is the context, 0 while it loads."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["glasschat"]
    max_model_len: int


class ModelList(Answer):
    """All of them: one."""

    object: Literal["list"]
    data: list[ModelCard]


class Health(Answer):
    """Whether the process serves at all, and how far it is.

    `error` is why it does not, `last_fault` what ended the engine before it was last started
    again, which has happened `restarts` times.
    """

    status: Literal["ok", "loading", "failed"]
    model: str
    progress: float
    restarts: int
    error: str | None = None
    last_fault: str | None = None


class Ready(Answer):
    """Replies can be asked for."""

    status: Literal["ready"]
    model: str


class About:
    """The endpoints."""

    def __init__(self, presence: ServerState) -> None:
        self._presence = presence
        self._created = int(time.time())

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """All models."""
        await send_json(send, ModelList(object="list", data=[self._card()]))

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The one of that name. Raises ApiError."""
        name = scope["path"].removeprefix(f"{MODELS}/")
        card = self._card()
        self._presence.check_model(name, card.id)
        await send_json(send, card)

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 while the process is of use: for whoever restarts it otherwise."""
        described = self._presence.described()
        failed = described.readiness is Readiness.FAILED
        loading = described.readiness is Readiness.LOADING
        answer = Health(
            status="failed" if failed else "loading" if loading else "ok",
            model=described.name,
            progress=described.progress,
            restarts=described.restarts,
        )
        if described.error is not None:
            answer.error = described.error
        if described.last_fault is not None:
            answer.last_fault = described.last_fault
        await send_json(send, answer, 503 if failed else 200)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """200 while requests are taken: for whoever spreads them. Raises ApiError."""
        await send_json(send, Ready(status="ready", model=self._presence.ready().name))

    def _card(self) -> ModelCard:
        described = self._presence.described()
        return ModelCard(
            id=described.name,
            object="model",
            created=self._created,
            owned_by="glasschat",
            max_model_len=described.context,
        )


def refuse_path(path: str) -> ApiError:
    """The error for a path that is not of the API."""
    return ApiError(404, f"there is no {path} here: see /openapi.json", code="unknown_url")
