"""Types of fields in files of strangers: strict, bounded, and refused in our words.

Each is put beside the Python type, as in `Annotated[int, Whole(100)]`.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, ErrorDetails, PydanticCustomError, core_schema

from glasschat.chat.exchange.file_model import Refusal, no_list, refused
from glasschat.errors import InvalidImport

LONGEST_TEXT = 8_000_000
LATEST_MS = 2**53
"""The latest time, in milliseconds since 1970: a float64 holds all integers up to here."""

Context = Mapping[str, Any]
"""What other parts of a file say about the one that is validated."""


class FieldType:
    """Metadata of a field: pydantic's own check of a type, refused in our words."""

    def schema(self) -> CoreSchema:
        """Return pydantic's schema of the type."""
        raise NotImplementedError

    def refusal(self, error: ErrorDetails, value: Any, context: Context) -> Refusal:
        """Return what to say of a value; `error` is pydantic's first for it."""
        raise NotImplementedError

    def complaint(self, value: Any, context: Context) -> Refusal | None:
        """Return what else is wrong with a value of the type, None where nothing is."""
        return None

    def __get_pydantic_core_schema__(
        self, _source: Any, _handler: GetCoreSchemaHandler
    ) -> CoreSchema:
        def check(
            plain: Any, inner: core_schema.ValidatorFunctionWrapHandler, info: ValidationInfo
        ) -> Any:
            try:
                value = inner(plain)
                refusal = self.complaint(value, info.context or {})
            except ValidationError as error:
                first = error.errors(include_url=False, include_input=False)[0]
                refusal = self.refusal(first, plain, info.context or {})
            if refusal is not None:
                raise refused(refusal)
            return value

        return core_schema.with_info_wrap_validator_function(check, self.schema())


@dataclass(frozen=True, slots=True)
class Text(FieldType):
    """A text of at most 8,000,000 characters that UTF-8 can carry; null too where `optional`."""

    optional: bool = False

    def schema(self) -> CoreSchema:
        """Return the schema of a string."""
        text = core_schema.str_schema(strict=True, max_length=LONGEST_TEXT)
        return core_schema.nullable_schema(text) if self.optional else text

    def refusal(self, error: ErrorDetails, value: Any, context: Context) -> Refusal:
        """Tell a lone surrogate from all else."""
        if error["type"] == "string_unicode":
            return lambda name: InvalidImport(
                "{name} holds half a character that no encoding carries", name=name
            )
        return lambda name: InvalidImport(
            "{name} is no text of at most {longest_text:,} characters",
            name=name,
            longest_text=LONGEST_TEXT,
        )


def _no_whole_number(name: str, high: int) -> InvalidImport:
    return InvalidImport("{name} is no whole number from 0 to {high:,}", name=name, high=high)


@dataclass(frozen=True, slots=True)
class Whole(FieldType):
    """A whole number from 0 to `high`; null too where `optional`.

    A `high` that is a word is looked up in the context. `name` stands for the field's in a
    refusal.
    """

    high: int | str
    optional: bool = False
    name: str | None = None

    def schema(self) -> CoreSchema:
        """Return the schema of an integer, which no bool is."""
        whole = core_schema.int_schema(strict=True, ge=0)
        return core_schema.nullable_schema(whole) if self.optional else whole

    def refusal(self, error: ErrorDetails, value: Any, context: Context) -> Refusal:
        """Return the error that names the bounds of the number."""
        return self._out_of_bounds(context)

    def complaint(self, value: int | None, context: Context) -> Refusal | None:
        """Refuse what is too large."""
        too_large = value is not None and value > self._high(context)
        return self._out_of_bounds(context) if too_large else None

    def _out_of_bounds(self, context: Context) -> Refusal:
        high = self._high(context)
        return lambda field: _no_whole_number(self.name or field, high)

    def _high(self, context: Context) -> int:
        high: int = context[self.high] if isinstance(self.high, str) else self.high
        return high


def _no_number(name: str) -> InvalidImport:
    return InvalidImport("{name} is no number", name=name)


def oversized_number(name: str) -> InvalidImport:
    """Return the error for a number that is not finite or out of its bounds."""
    return InvalidImport("{name} is no number of a bearable size", name=name)


@dataclass(frozen=True, slots=True)
class Number(FieldType):
    """A finite number from `low` to `high`, integers within 2**53; null too where `optional`.

    `wrong` refuses one out of its bounds. `name` stands for the field's in a refusal.
    """

    low: float | None = None
    high: float | None = None
    optional: bool = False
    wrong: Refusal = oversized_number
    name: str | None = None

    def schema(self) -> CoreSchema:
        """Return the schema of a float, which takes integers."""
        number: CoreSchema = core_schema.float_schema(strict=True, ge=self.low, le=self.high)
        number = core_schema.no_info_before_validator_function(_check_finite, number)
        return core_schema.nullable_schema(number) if self.optional else number

    def refusal(self, error: ErrorDetails, value: Any, context: Context) -> Refusal:
        """Tell what is no number from one that is not finite or out of its bounds."""
        wrong = self.wrong
        if value is not None and not _is_number(value):
            wrong = _no_number
        elif error["type"] == _NOT_FINITE:
            wrong = oversized_number
        return lambda field: wrong(self.name or field)


_NOT_FINITE = "not_finite"


def _check_finite(value: Any) -> Any:
    """Refuse infinities, and integers that a float64 may not hold exactly."""
    if _is_number(value):
        high = LATEST_MS if isinstance(value, int) else sys.float_info.max
        if not abs(value) <= high:
            raise PydanticCustomError(_NOT_FINITE, "not finite")
    return value


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


@dataclass(frozen=True, slots=True)
class Ids(FieldType):
    """A list of whole numbers below `end`, at most `most` of them; null too where `optional`.

    `wrong` refuses a list with anything else in it. `name` stands for the field's in a refusal.
    """

    end: int
    most: int
    wrong: Refusal
    optional: bool = False
    name: str | None = None

    def schema(self) -> CoreSchema:
        """Return the schema of a tuple, which stops at the first entry that is wrong."""
        entry = core_schema.int_schema(strict=True, ge=0, lt=self.end)
        ids: CoreSchema = core_schema.tuple_schema(
            [entry], variadic_item_index=0, max_length=self.most, fail_fast=True
        )
        return core_schema.nullable_schema(ids) if self.optional else ids

    def refusal(self, error: ErrorDetails, value: Any, context: Context) -> Refusal:
        """Tell what is no list, or a list that is too long, from one with a wrong entry."""
        if not isinstance(value, list) or len(value) > self.most:
            return lambda field: no_list(self.name or field, self.most)
        return lambda field: self.wrong(self.name or field)
