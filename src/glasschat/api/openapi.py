"""The OpenAPI document, generated from the pydantic models of requests and responses."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from glasschat import __version__
from glasschat.api.auth import PUBLIC_PATHS
from glasschat.api.chat import ChatRequest
from glasschat.api.completions import CompletionRequest
from glasschat.api.info import MODELS_PATH, Health, ModelCard, ModelList, Ready
from glasschat.api.responses import ChatChunk, ChatCompletion, Completion
from glasschat.api.tokenizing import (
    Detokenized,
    DetokenizeRequest,
    Tokenized,
    TokenizeRequest,
)

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "Something in the request has to be otherwise; `param` names it.",
    "401": "No key, or one that is not known.",
    "404": "No such model.",
    "408": "The body did not come in time.",
    "413": "The body is too large.",
    "415": "The body is not declared as application/json.",
    "429": "The queue is full, or the key has too many requests; see Retry-After.",
    "500": "The reply went wrong.",
    "503": "The model is loading, or the server is ending; see Retry-After.",
    "504": "The reply was not complete within its timeout.",
}
_TAKES_BODY = ("400", "401", "404", "408", "413", "415", "500", "503")


@dataclass(frozen=True, slots=True)
class Operation:
    """One path and method, with the models of its body, its response and its stream's events."""

    path: str
    method: Literal["get", "post"]
    summary: str
    response: type[BaseModel] | None
    body: type[BaseModel] | None = None
    events: type[BaseModel] | None = None
    errors: tuple[str, ...] = ()


OPERATIONS = (
    Operation(MODELS_PATH, "get", "The models that are served", ModelList, errors=("401",)),
    Operation(f"{MODELS_PATH}/{{model}}", "get", "One of them", ModelCard, errors=("401", "404")),
    Operation(
        "/v1/chat/completions",
        "post",
        "Replies to a conversation",
        ChatCompletion,
        ChatRequest,
        ChatChunk,
        (*_TAKES_BODY, "429", "504"),
    ),
    Operation(
        "/v1/completions",
        "post",
        "Texts that go on from prompts, without a template",
        Completion,
        CompletionRequest,
        Completion,
        (*_TAKES_BODY, "429", "504"),
    ),
    Operation(
        "/tokenize", "post", "Text to token ids", Tokenized, TokenizeRequest, errors=_TAKES_BODY
    ),
    Operation(
        "/detokenize",
        "post",
        "Token ids to text",
        Detokenized,
        DetokenizeRequest,
        errors=_TAKES_BODY,
    ),
    Operation("/health", "get", "Whether the process is of use", Health, errors=("503",)),
    Operation("/metrics", "get", "Prometheus' text form, with vLLM's names", None, errors=("401",)),
    Operation("/ready", "get", "Whether requests are taken", Ready, errors=("503",)),
)


def openapi_document() -> dict[str, Any]:
    """Return the document as plain JSON objects."""
    request_models = [o.body for o in OPERATIONS if o.body is not None]
    response_models = [m for o in OPERATIONS for m in (o.response, o.events) if m is not None]
    modes: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        *((model, "validation") for model in request_models),
        *((model, "serialization") for model in dict.fromkeys(response_models)),
    ]
    _, schemas = models_json_schema(modes, ref_template=_REF)
    components = {**schemas["$defs"], "Error": _ERROR}
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _operation_object(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "glasschat",
            "version": __version__,
            "description": "OpenAI's interface to the model that this server runs, and what "
            "else can be known of every token.",
        },
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
        "security": [{"key": []}, {}],
    }


def _operation_object(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.response is not None:
        content["application/json"] = {"schema": _ref(operation.response)}
    if operation.path == "/metrics":
        content["text/plain"] = {"schema": {"type": "string"}}
    if operation.events is not None:
        content["text/event-stream"] = {"schema": _event_schema(operation.events)}
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status in sorted(operation.errors):
        schema = {"$ref": _REF.format(model="Error")}
        if operation.path == "/health":
            # A failed process answers with the same body as a healthy one.
            schema = _ref(Health)
        responses[status] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schema}},
        }
    operation_object: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if operation.path in PUBLIC_PATHS:
        operation_object["security"] = []
    if operation.body is not None:
        operation_object["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(operation.body)}},
        }
    if "{model}" in operation.path:
        operation_object["parameters"] = [
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation_object


def _event_schema(model: type[BaseModel]) -> dict[str, Any]:
    """Return the schema of one server-sent event."""
    json = {
        "type": "string",
        "contentMediaType": "application/json",
        "contentSchema": {"anyOf": [_ref(model), {"$ref": _REF.format(model="Error")}]},
    }
    return {
        "description": "An event of the stream; the last one is [DONE].",
        "anyOf": [
            {"type": "object", "required": ["data"], "properties": {"data": data}}
            for data in ({"const": "[DONE]"}, json)
        ],
    }


def _ref(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _REF.format(model=model.__name__)}


_TEXT_OR_NULL = {"anyOf": [{"type": "string"}, {"type": "null"}]}
_ERROR = {
    "title": "Error",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code", "request_id"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": _TEXT_OR_NULL,
                "code": _TEXT_OR_NULL,
                "request_id": {"type": "string"},
            },
        }
    },
}
