"""Endpoints that describe the server: /v1/models, /health and /ready."""

import time
from typing import Literal

from starlette.types import Receive, Scope, Send

from glasschat.api.admission import ServerState, check_model
from glasschat.api.errors import ApiError
from glasschat.api.responses import ResponseModel
from glasschat.api.sse import send_json
from glasschat.backends import Readiness

MODELS_PATH = "/v1/models"


class ModelCard(ResponseModel):
    """A model that requests may name. `max_model_len` is its context in tokens, 0 while loading."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["glasschat"]
    max_model_len: int


class ModelList(ResponseModel):
    """List of the models that requests may name. This server has one."""

    object: Literal["list"]
    data: list[ModelCard]


class Health(ResponseModel):
    """State of the process.

    `progress` is the loaded share of the model, 0 to 1. `error` is why no model is served.
    `restarts` counts how often the engine was started again, and `last_fault` is what ended it the
    last time.
    """

    status: Literal["ok", "loading", "failed"]
    model: str
    progress: float
    restarts: int
    error: str | None = None
    last_fault: str | None = None


class Ready(ResponseModel):
    """The server takes requests for replies."""

    status: Literal["ready"]
    model: str


class InfoEndpoints:
    """ASGI handlers of /v1/models, /health and /ready."""

    def __init__(self, state: ServerState) -> None:
        self._state = state
        self._created = int(time.time())

    async def models(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the list of models."""
        await send_json(send, ModelList(object="list", data=[self._card()]))

    async def model(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the model that the path names. Raises ApiError (404) if it is not served."""
        name = scope["path"].removeprefix(f"{MODELS_PATH}/")
        card = self._card()
        check_model(name, card.id)
        await send_json(send, card)

    async def health(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the state of the process: 503 if the model or the engine has failed for good.

        A supervisor that restarts processes asks this. A model that still loads is 200.
        """
        description = self._state.describe()
        failed = description.readiness is Readiness.FAILED
        loading = description.readiness is Readiness.LOADING
        response = Health(
            status="failed" if failed else "loading" if loading else "ok",
            model=description.name,
            progress=description.progress,
            restarts=description.restarts,
        )
        if description.error is not None:
            response.error = description.error
        if description.last_fault is not None:
            response.last_fault = description.last_fault
        await send_json(send, response, 503 if failed else 200)

    async def ready(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send 200 while requests are taken, which a load balancer asks. Raises ApiError (503)."""
        await send_json(send, Ready(status="ready", model=self._state.require_ready().name))

    def _card(self) -> ModelCard:
        description = self._state.describe()
        return ModelCard(
            id=description.name,
            object="model",
            created=self._created,
            owned_by="glasschat",
            max_model_len=description.context,
        )


def unknown_path(path: str) -> ApiError:
    """Return the error (404) for a path that the API does not have."""
    return ApiError(404, f"there is no {path} here: see /openapi.json", code="unknown_url")
