"""The body of a request: read within bounds, and checked against its model."""

import re
from typing import Any, TypeVar

import anyio
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from glasschat.api import unsupported as not_here
from glasschat.api.errors import ApiError, invalid, unsupported

MOST_BYTES = 16 * 2**20
BODY_WITHIN_S = 60.0

_JSON = re.compile(r"application/(?:[a-z0-9.+-]+\+)?json", re.IGNORECASE)
# Pydantic names the branches of a union by their types, which nobody wrote.
_BRANCH = re.compile(r"[\[\]()-]|^(?:str|int|float|bool|none)$")

Model = TypeVar("Model", bound=BaseModel)


async def read_body(request: Request, model: type[Model]) -> Model:
    """The body as a `model`.

    Only application/json will do: no web page elsewhere can have a browser send that unasked.
    Raises ApiError; ClientDisconnect if the client leaves before all of it came.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if not _JSON.fullmatch(kind):
        raise ApiError(
            415, "send the request as JSON, with Content-Type: application/json", code="not_json"
        )
    with anyio.move_on_after(BODY_WITHIN_S) as scope:
        data = await _read(request)
    if scope.cancelled_caught:
        raise ApiError(408, f"the body did not come within {BODY_WITHIN_S:.0f} s", code="slow_body")
    return parsed(model, data)


async def _read(request: Request) -> bytes:
    parts: list[bytes] = []
    size = 0
    async for part in request.stream():
        size += len(part)
        if size > MOST_BYTES:
            raise ApiError(413, f"the body is over {MOST_BYTES:,} bytes", code="too_large")
        parts.append(part)
    return b"".join(parts)


def parsed(model: type[Model], data: bytes) -> Model:
    """`data` as a `model`. Raises ApiError that names the field."""
    try:
        return model.model_validate_json(data)
    except ValidationError as error:
        raise _told(error) from None


def _told(error: ValidationError) -> ApiError:
    """The mistake that lies deepest: of the branches of a union, the one that was meant."""
    found = max(error.errors(include_url=False), key=lambda item: len(item["loc"]))
    kind, path = found["type"], path_of(found["loc"])
    if kind == "json_invalid":
        return invalid(f"the body is no JSON: {found['ctx']['error']}", None, "invalid_json")
    if not path and kind != "value_error":
        return invalid("the body is no JSON object", None, "invalid_json")
    if kind == "extra_forbidden":
        return invalid(f"unknown parameter: {path}", path, "unknown_parameter")
    if kind == "missing":
        return invalid(f"{path} is missing", path, "missing_required_parameter")
    if path.rpartition(".")[2].partition("[")[0] in not_here.NAMES:
        return unsupported(path)
    if kind == "value_error":
        return invalid(str(found["ctx"]["error"]), path or None, "invalid_value")
    message: str = found["msg"]
    return invalid(f"{path}: {message[:1].lower()}{message[1:]}", path, "invalid_value")


def path_of(location: tuple[Any, ...]) -> str:
    """Where in the body, as `messages[0].content`."""
    path = ""
    for part in location:
        if isinstance(part, int):
            path += f"[{part}]"
        elif not _BRANCH.search(part):
            path += f".{part}" if path else part
    return path
