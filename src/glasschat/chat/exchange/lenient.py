"""Types of fields in other programs' files: what is not of the right kind is left out, not refused.

Such a file is worth reading for the turns that it has, whatever else is in it.
"""

from typing import Annotated, Any

from pydantic import PlainValidator, ValidationError, ValidatorFunctionWrapHandler, WrapValidator

from glasschat.chat.exchange.field_types import LATEST_MS


def _validate_or_none(value: Any, handler: ValidatorFunctionWrapHandler) -> Any:
    try:
        return handler(value)
    except ValidationError:
        return None


LENIENT = WrapValidator(_validate_or_none)
"""Makes null of a value that is not of the field's type."""


def mend_surrogates(text: Any) -> str:
    """Return a text with its surrogate pairs joined and lone surrogates replaced.

    What is no text is empty.
    """
    if not isinstance(text, str):
        return ""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return text


def to_milliseconds(seconds: Any) -> int:
    """Return seconds since 1970, as other programs have them, in milliseconds; 0 for no time."""
    if isinstance(seconds, bool) or not isinstance(seconds, int | float):
        return 0
    if not 0 <= seconds <= LATEST_MS / 1000:  # NaN compares as false, too.
        return 0
    return round(seconds * 1000)


MendedText = Annotated[str, PlainValidator(mend_surrogates)]
Milliseconds = Annotated[int, PlainValidator(to_milliseconds)]
