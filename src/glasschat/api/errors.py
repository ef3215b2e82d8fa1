"""Errors as OpenAI's clients expect them: a status, and a body that says what to do."""

from dataclasses import dataclass
from typing import Any

from glasschat.errors import (
    EngineStopped,
    GlasschatError,
    ParameterError,
    PromptError,
    PromptTooLong,
    QueueFull,
    ReplyFailed,
    StageNotHere,
)

INVALID, SERVER, RATE = "invalid_request_error", "server_error", "rate_limit_error"

# What the engine calls a setting is not always what the wire calls it.
_WIRE_NAMES = {"max_new_tokens": "max_tokens", "token_id": "tokens"}


@dataclass(slots=True)
class ApiError(Exception):
    """A request that is not answered as asked, before or in the middle of a stream.

    `param` names the field that was wrong. `retry_after` is in whole seconds.
    """

    status: int
    message: str
    type: str = INVALID
    param: str | None = None
    code: str | None = None
    retry_after: int | None = None
    headers: tuple[tuple[str, str], ...] = ()

    def body(self, request_id: str | None = None) -> dict[str, Any]:
        """What goes over the wire; `request_id` is what the log calls the request."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        if request_id is not None:
            error["request_id"] = request_id
        return {"error": error}


def invalid(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """A request that has to be written otherwise."""
    return ApiError(400, message, INVALID, param, code)


def unsupported(param: str, hint: str = "leave it out") -> ApiError:
    """Something of OpenAI's that this server does not have."""
    return invalid(f"{param} is not supported here: {hint}", param, "unsupported_parameter")


def loading(message: str) -> ApiError:
    """Not yet, or not any more."""
    return ApiError(503, message, SERVER, code="unavailable", retry_after=2)


def as_api_error(error: GlasschatError) -> ApiError:
    """What a client is told of an error of ours."""
    message = str(error)
    if isinstance(error, ParameterError):
        name = _WIRE_NAMES.get(error.name, error.name)
        return invalid(f"{name} must be {error.allowed}", name, "invalid_value")
    if isinstance(error, StageNotHere):
        return invalid(message, "own_stages", "unknown_stage")
    if isinstance(error, PromptTooLong):
        return invalid(message, "messages", "context_length_exceeded")
    if isinstance(error, PromptError):
        return invalid(message, "messages", "invalid_prompt")
    if isinstance(error, QueueFull):
        return ApiError(429, message, RATE, code="queue_full", retry_after=1)
    if isinstance(error, EngineStopped):
        return loading(message)
    code = "reply_failed" if isinstance(error, ReplyFailed) else "internal_error"
    return ApiError(500, message, SERVER, code=code)
