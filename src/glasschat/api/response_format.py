"""The field response_format: a reply that has to be JSON, or JSON of a schema."""

from typing import Annotated, Any, Literal

from pydantic import Field

from glasschat.api.errors import invalid_request
from glasschat.api.fields import RequestModel
from glasschat.backends.vocabulary import Vocabulary
from glasschat.errors import ParameterError
from glasschat.sampling import Grammar


class JsonSchema(RequestModel):
    """A JSON schema that the reply follows, whether or not `strict` is set."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern="^[a-zA-Z0-9_-]+$")]
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema", description="A JSON schema.")
    strict: bool | None = Field(None, description="Kept either way.")


class TextFormat(RequestModel):
    """Any text: the reply is not constrained."""

    type: Literal["text"]


class JsonObjectFormat(RequestModel):
    """Any JSON object. Ask for JSON in the messages too: the model does not see this field."""

    type: Literal["json_object"]


class JsonSchemaFormat(RequestModel):
    """JSON that follows a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")
]


def constraint_of(response_format: ResponseFormat | None, vocabulary: Vocabulary) -> Grammar | None:
    """Return the grammar stage for a response format, None for any text.

    Building it takes time for the first reply of a model, and for a large schema. Raises ApiError
    (400) for a schema that cannot be enforced.
    """
    if response_format is None or isinstance(response_format, TextFormat):
        return None
    if isinstance(response_format, JsonObjectFormat):
        return vocabulary.json_grammar()
    try:
        return vocabulary.json_grammar(response_format.json_schema.json_schema)
    except ParameterError as error:
        raise invalid_request(
            f"this schema cannot be held to: {error.value}",
            "response_format.json_schema.schema",
            "invalid_schema",
        ) from None
