"""What OpenAI has and this server has not. Refused by name, but for values that ask for nothing.

Clients send some of these with every request, as null, false or an empty list.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from glasschat.api.fields import OnlyFalse, Wire

_NOT_HERE = "Not supported; allowed where it asks for nothing."

EmptyList = Annotated[list[Any], Field(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Field(max_length=0)]


def _no(default: None = None) -> Any:
    return Field(default, description=_NOT_HERE)


class MessageUnsupported(Wire):
    """Of a message."""

    name: None = _no()
    refusal: None = _no()
    audio: None = _no()
    function_call: None = _no()
    tool_call_id: None = _no()
    tool_calls: EmptyList | None = _no()
    annotations: EmptyList | None = _no()


class Unsupported(Wire):
    """Of any request for a reply."""

    metadata: EmptyObject | None = _no()
    service_tier: Literal["auto", "default"] | None = _no()
    safety_identifier: None = _no()
    prompt_cache_key: None = _no()
    prompt_cache_retention: None = _no()
    store: OnlyFalse | None = _no()


class ChatUnsupported(Unsupported):
    """Of a request for a chat's reply."""

    tools: EmptyList | None = _no()
    tool_choice: Literal["none", "auto"] | None = _no()
    parallel_tool_calls: bool | None = _no()
    functions: EmptyList | None = _no()
    function_call: Literal["none", "auto"] | None = _no()
    audio: None = _no()
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = _no()
    prediction: None = _no()
    reasoning_effort: None = _no()
    verbosity: None = _no()
    web_search_options: None = _no()


class CompletionUnsupported(Unsupported):
    """Of a request for a text to be gone on with."""

    suffix: Literal[""] | None = _no()


NAMES = frozenset().union(
    *(model.model_fields for model in (MessageUnsupported, ChatUnsupported, CompletionUnsupported))
)
"""Every field here, for errors that name them."""
