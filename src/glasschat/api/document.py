"""The OpenAPI document, made from the models that requests and responses are read and made with."""

from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from glasschat import __version__
from glasschat.api.about import MODELS, Health, ModelCard, ModelList, Ready
from glasschat.api.auth import OPEN_PATHS
from glasschat.api.chat_request import ChatRequest
from glasschat.api.completion_request import CompletionRequest
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
    """One path and method: what goes in and what comes out."""

    path: str
    method: Literal["get", "post"]
    summary: str
    answer: type[BaseModel] | None
    body: type[BaseModel] | None = None
    events: type[BaseModel] | None = None
    errors: tuple[str, ...] = ()


OPERATIONS = (
    Operation(MODELS, "get", "The models that are served", ModelList, errors=("401",)),
    Operation(f"{MODELS}/{{model}}", "get", "One of them", ModelCard, errors=("401", "404")),
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


def document() -> dict[str, Any]:
    """The document as plain JSON."""
    incoming = [o.body for o in OPERATIONS if o.body is not None]
    outgoing = [m for o in OPERATIONS for m in (o.answer, o.events) if m is not None]
    modes: list[tuple[type[BaseModel], Literal["validation", "serialization"]]] = [
        *((model, "validation") for model in incoming),
        *((model, "serialization") for model in dict.fromkeys(outgoing)),
    ]
    _, schemas = models_json_schema(modes, ref_template=_REF)
    components = {**schemas["$defs"], "Error": _ERROR}
    paths: dict[str, Any] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = _described(operation)
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


def _described(operation: Operation) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if operation.answer is not None:
        content["application/json"] = {"schema": _ref(operation.answer)}
    if operation.path == "/metrics":
        content["text/plain"] = {"schema": {"type": "string"}}
    if operation.events is not None:
        content["text/event-stream"] = {"schema": _event(operation.events)}
    responses: dict[str, Any] = {"200": {"description": "Done.", "content": content}}
    for status in sorted(operation.errors):
        schema = {"$ref": _REF.format(model="Error")}
        if operation.path == "/health":
            # It says why in its own words.
            schema = _ref(Health)
        responses[status] = {
            "description": _ERRORS[status],
            "content": {"application/json": {"schema": schema}},
        }
    described: dict[str, Any] = {"summary": operation.summary, "responses": responses}
    if operation.path in OPEN_PATHS:
        described["security"] = []
    if operation.body is not None:
        described["requestBody"] = {
            "required": True,
            "content": {"application/json": {"schema": _ref(operation.body)}},
        }
    if "{model}" in operation.path:
        described["parameters"] = [
            {"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return described


def _event(model: type[BaseModel]) -> dict[str, Any]:
    """What each event is."""
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
