"""response_format: what a reply has to be, as a grammar."""

from typing import Annotated, Any, Literal

from pydantic import Field

from glasschat.api.errors import invalid
from glasschat.api.fields import Wire
from glasschat.backends.vocabulary import Vocabulary
from glasschat.errors import ParameterError
from glasschat.sampling import Grammar


class JsonSchema(Wire):
    """A schema that the reply follows, whether or not `strict` is said."""

    name: Annotated[str, Field(min_length=1, max_length=64, pattern="^[a-zA-Z0-9_-]+$")]
    description: str | None = None
    json_schema: dict[str, Any] = Field(alias="schema", description="A JSON schema.")
    strict: bool | None = Field(None, description="Kept either way.")


class TextFormat(Wire):
    """Any text."""

    type: Literal["text"]


class JsonObjectFormat(Wire):
    """Some JSON object. Ask for it in the messages too: the model knows nothing of this."""

    type: Literal["json_object"]


class JsonSchemaFormat(Wire):
    """JSON of a schema."""

    type: Literal["json_schema"]
    json_schema: JsonSchema


ResponseFormat = Annotated[
    TextFormat | JsonObjectFormat | JsonSchemaFormat, Field(discriminator="type")
]


def constraint_of(wanted: ResponseFormat | None, vocabulary: Vocabulary) -> Grammar | None:
    """A stage for one reply; None for any text. Takes time for the first reply of a model, and
    for a large schema. Raises ApiError.
    """
    if wanted is None or isinstance(wanted, TextFormat):
        return None
    if isinstance(wanted, JsonObjectFormat):
        return vocabulary.json_grammar()
    try:
        return vocabulary.json_grammar(wanted.json_schema.json_schema)
    except ParameterError as error:
        raise invalid(
            f"this schema cannot be held to: {error.value}",
            "response_format.json_schema.schema",
            "invalid_schema",
        ) from None
