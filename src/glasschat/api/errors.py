"""Errors in the form that OpenAI's clients expect: an HTTP status and a JSON body."""

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
    """A request that cannot be answered as asked, found before the response or during a stream.

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
        """Return the JSON body. `request_id` is the id of the request in the log."""
        error = {
            "message": self.message,
            "type": self.type,
            "param": self.param,
            "code": self.code,
        }
        if request_id is not None:
            error["request_id"] = request_id
        return {"error": error}


def invalid_request(message: str, param: str | None = None, code: str | None = None) -> ApiError:
    """Return the error (400) for a request that its author has to change."""
    return ApiError(400, message, INVALID, param, code)


def unsupported(param: str, hint: str = "leave it out") -> ApiError:
    """Return the error (400) for a field of OpenAI's API that this server does not have."""
    return invalid_request(f"{param} is not supported here: {hint}", param, "unsupported_parameter")


def unavailable(message: str) -> ApiError:
    """Return the error (503) for a server that cannot take requests now."""
    return ApiError(503, message, SERVER, code="unavailable", retry_after=2)


def to_api_error(error: GlasschatError) -> ApiError:
    """Convert one of glasschat's errors into the error that the client gets."""
    message = str(error)
    if isinstance(error, ParameterError):
        name = _WIRE_NAMES.get(error.name, error.name)
        return invalid_request(f"{name} must be {error.allowed}", name, "invalid_value")
    if isinstance(error, StageNotHere):
        return invalid_request(message, "own_stages", "unknown_stage")
    if isinstance(error, PromptTooLong):
        return invalid_request(message, "messages", "context_length_exceeded")
    if isinstance(error, PromptError):
        return invalid_request(message, "messages", "invalid_prompt")
    if isinstance(error, QueueFull):
        return ApiError(429, message, RATE, code="queue_full", retry_after=1)
    if isinstance(error, EngineStopped):
        return unavailable(message)
    code = "reply_failed" if isinstance(error, ReplyFailed) else "internal_error"
    return ApiError(500, message, SERVER, code=code)
