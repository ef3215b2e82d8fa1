"""Reads the body of a request within limits of size and time, and validates it."""

import re
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from glasschat.api import unsupported as unsupported_fields
from glasschat.api.errors import ApiError, invalid_request, unsupported

MAX_BODY_BYTES = 16 * 2**20
BODY_TIMEOUT_S = 60.0

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
# Pydantic puts the type of a union's branch into the location; it is not part of the body.
_BRANCH = re.compile(r"[\[\]()-]|^(?:str|int|float|bool|none)$")

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """Read the body of a request as JSON of `model`.

    Only application/json is taken: a web page on another site cannot make a browser send that
    without the server's consent. Raises ApiError: 408 if the body takes longer than
    BODY_TIMEOUT_S, 413 beyond MAX_BODY_BYTES, 415 for another content type, 400 if it is not
    valid. Raises ClientDisconnect if the client leaves before the end.
    """
    content_type = request.headers.get("content-type", "").partition(";")[0].strip()
    if not _JSON.fullmatch(content_type):
        raise ApiError(
            415, "send the request as JSON, with Content-Type: application/json", code="not_json"
        )
    with anyio.move_on_after(BODY_TIMEOUT_S) as timeout:
        data = await _read_bytes(request)
    if timeout.cancelled_caught:
        raise ApiError(
            408, f"the body did not come within {BODY_TIMEOUT_S:.0f} s", code="slow_body"
        )
    return parse_json(model, data)


async def _read_bytes(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MAX_BODY_BYTES:
            raise ApiError(413, f"the body is over {MAX_BODY_BYTES:,} bytes", code="too_large")
        parts.append(part)
    return b"".join(parts)


def parse_json(model: type[Model], data: bytes) -> Model:
    """Validate JSON bytes as a `model`. Raises ApiError (400), which names the field."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _to_api_error(error) from None


def _to_api_error(error: ValidationError) -> ApiError:
    """Convert the error that lies deepest in the body.

    For a union, pydantic reports an error for each branch. The branch that was meant is the one
    that got furthest.
    """
    found = max(error.errors(include_url=False), key=lambda item: len(item["loc"]))
    kind, path = found["type"], field_path(found["loc"])
    if kind == "json_invalid":
        return invalid_request(
            f"the body is no JSON: {found['ctx']['error']}", None, "invalid_json"
        )
    if not path and kind != "value_error":
        return invalid_request("the body is no JSON object", None, "invalid_json")
    if kind == "extra_forbidden":
        return invalid_request(f"unknown parameter: {path}", path, "unknown_parameter")
    if kind == "missing":
        return invalid_request(f"{path} is missing", path, "missing_required_parameter")
    if path.rpartition(".")[2].partition("[")[0] in unsupported_fields.NAMES:
        return unsupported(path)
    if kind == "value_error":
        return invalid_request(str(found["ctx"]["error"]), path or None, "invalid_value")
    message: str = found["msg"]
    return invalid_request(f"{path}: {message[:1].lower()}{message[1:]}", path, "invalid_value")


def field_path(location: tuple[Any, ...]) -> str:
    """Return the place of a field in the body, such as `messages[0].content`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _BRANCH.search(part):
            path += f".{part}" if path else part
    return path
