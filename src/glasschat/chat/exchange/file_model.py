"""The base of pydantic models for files that anybody may have written.

A model takes any object: a field that is missing reads as null, and unknown names are ignored, so
that a file of a newer version is read as far as it is known. A wrong value is refused in one line
of ours that names the field; `field_types.py` has the types that do so.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    model_validator,
)
from pydantic_core import PydanticCustomError

from glasschat.errors import GlasschatError, InvalidImport

MOST_TURNS = 100_000

Refusal = Callable[[str], GlasschatError]
"""Makes the error for a value from the name of its field."""


class FileModel(BaseModel):
    """An object of a file. `label` is what a refusal calls it."""

    model_config = ConfigDict(frozen=True)
    label: ClassVar[str] = "it"

    @model_validator(mode="before")
    @classmethod
    def _fill_missing(cls, plain: Any) -> dict[str, Any]:
        plain = check_object(plain, cls.label)
        return {name: plain.get(name) for name in cls.model_fields}


Model = TypeVar("Model", bound=FileModel)
Value = TypeVar("Value")


def validate(model: type[Model], plain: Any, **context: Any) -> Model:
    """Return `plain` as a `model`. Raises the GlasschatError of its first wrong field."""
    try:
        return model.model_validate(plain, context=context)
    except ValidationError as error:
        raise first_error(error) from None


def first_error(error: ValidationError) -> GlasschatError:
    """Return our error for the first wrong value of a model."""
    found = error.errors(include_url=False, include_input=False)[0]
    name = next((part for part in reversed(found["loc"]) if isinstance(part, str)), "it")
    refusal: Refusal = found["ctx"]["refusal"]
    return refusal(name)


def refused(refusal: Refusal) -> PydanticCustomError:
    """Make pydantic's error that carries one of ours to `first_error`."""
    return PydanticCustomError("refused", "refused", {"refusal": refusal})


def build_value(build: Callable[[], Value]) -> Value:
    """Return what `build` makes, or refuse the value by the GlasschatError that it raises."""
    try:
        return build()
    except GlasschatError as error:
        refusal = error
    raise refused(lambda _: refusal)


def read_as(model: type[Model], build: Callable[[Model], Value]) -> PlainValidator:
    """Make a field's validator that reads an object as `model`, then builds a value of ours."""

    def read(plain: Any, info: ValidationInfo) -> Value:
        fields = model.model_validate(plain, context=info.context)
        return build_value(lambda: build(fields))

    return PlainValidator(read)


def check_object(plain: Any, name: str) -> Mapping[str, Any]:
    """Return an object of JSON, and refuse any other value."""
    if not isinstance(plain, Mapping):
        raise refused(lambda _: InvalidImport("{name} is no object with names", name=name))
    return plain


def at_most(most: int = MOST_TURNS, name: str | None = None) -> BeforeValidator:
    """Make a field's validator that refuses what is no list, or has more than `most` entries.

    It comes before any entry is looked at. `name` is the field's own for None.
    """

    def check(plain: Any) -> list[Any]:
        if isinstance(plain, list) and len(plain) <= most:
            return plain
        raise refused(lambda field: no_list(name or field, most))

    return BeforeValidator(check)


def no_list(name: str, most: int) -> InvalidImport:
    """Return the error for what is no list, or one that is too long."""
    return InvalidImport("{name} is no list of at most {most:,} entries", name=name, most=most)
