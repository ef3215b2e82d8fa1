"""Fields of OpenAI's API that this server does not support.

They are refused by name, but for values that ask for nothing: some clients send them with every
request, as null, false or an empty list.
"""

from typing import Annotated, Any, Literal

from pydantic import Field

from glasschat.api.fields import OnlyFalse, RequestModel

_DESCRIPTION = "Not supported; allowed where it asks for nothing."

EmptyList = Annotated[list[Any], Field(max_length=0)]
EmptyObject = Annotated[dict[str, Any], Field(max_length=0)]


def _unsupported(default: None = None) -> Any:
    return Field(default, description=_DESCRIPTION)


class MessageUnsupported(RequestModel):
    """Unsupported fields of a message."""

    name: None = _unsupported()
    refusal: None = _unsupported()
    audio: None = _unsupported()
    function_call: None = _unsupported()
    tool_call_id: None = _unsupported()
    tool_calls: EmptyList | None = _unsupported()
    annotations: EmptyList | None = _unsupported()


class Unsupported(RequestModel):
    """Unsupported fields of every request for replies."""

    metadata: EmptyObject | None = _unsupported()
    service_tier: Literal["auto", "default"] | None = _unsupported()
    safety_identifier: None = _unsupported()
    prompt_cache_key: None = _unsupported()
    prompt_cache_retention: None = _unsupported()
    store: OnlyFalse | None = _unsupported()


class ChatUnsupported(Unsupported):
    """Unsupported fields of a chat request."""

    tools: EmptyList | None = _unsupported()
    tool_choice: Literal["none", "auto"] | None = _unsupported()
    parallel_tool_calls: bool | None = _unsupported()
    functions: EmptyList | None = _unsupported()
    function_call: Literal["none", "auto"] | None = _unsupported()
    audio: None = _unsupported()
    modalities: Annotated[list[Literal["text"]], Field(max_length=1)] | None = _unsupported()
    prediction: None = _unsupported()
    reasoning_effort: None = _unsupported()
    verbosity: None = _unsupported()
    web_search_options: None = _unsupported()


class CompletionUnsupported(Unsupported):
    """Unsupported fields of a completion request."""

    suffix: Literal[""] | None = _unsupported()


NAMES = frozenset().union(
    *(model.model_fields for model in (MessageUnsupported, ChatUnsupported, CompletionUnsupported))
)
"""Every field here, for errors that name them."""
