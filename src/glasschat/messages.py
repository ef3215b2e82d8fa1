"""Messages: lines of English that remember the template and the values that they were made from.

    Message("{waiting:,} requests are waiting", waiting=9)      # == "9 requests are waiting"

A `Message` is a `str`, the line itself: it is logged, compared, kept and sent like any other. A
page looks its template up in a catalogue, and fills in the values again (`web/error_text.py`). A
value may be a Message too, which is then translated inside the outer one. Templates are found in
the source by Babel (`tools/messages.py`), so they are written as literals; values have names of
their own, and a template without values is taken as it stands, braces and all.
"""

import math
import re
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from string import Formatter
from types import MappingProxyType
from typing import Any

Value = str | int | float | bool | None
"""What a value is kept as: text (a Message too), a number, or nothing."""

MOST_VALUES = 30
MOST_BITS = 10_000
"""Of a number: Python refuses to write longer ones with decimal digits."""
LONGEST_TEMPLATE = 2_000
_DEEPEST = 5
# Widths are bounded: a template that comes from a file must not write gigabytes of blanks.
_SPECIFICATION = re.compile(r"(?:0\d)?,?(?:\.\d)?[dfgX]?")


class Message(str):
    """A line of text with its template and its values by name. Immutable, like every str.

    Values are copied as text and numbers when the message is made, so that nothing that happens
    later changes them, and every message can be pickled. A pair of template and values that do not
    fit each other does not raise: the line is then the template, followed by the values.
    """

    __slots__ = ("_template", "_values")
    _template: str
    _values: Mapping[str, Value]

    def __new__(cls, template: str, /, **values: object) -> "Message":
        """Make the message; of another message without more values, return it as it is."""
        if isinstance(template, Message) and not values:
            return template
        plain = {name: _plain_value(value) for name, value in values.items()}
        message = super().__new__(cls, fill(template, plain))
        message._template = str(template)
        message._values = MappingProxyType(plain)
        return message

    @property
    def template(self) -> str:
        """The line with names of values in braces, as a catalogue has it."""
        return self._template

    @property
    def values(self) -> Mapping[str, Value]:
        """Return the values of the message by their names in the template."""
        return self._values

    def render(self, look_up: Callable[[str], str]) -> str:
        """Return the line in another language; `look_up` gives the translation of a template."""
        values = {
            name: value.render(look_up) if isinstance(value, Message) else value
            for name, value in self._values.items()
        }
        return fill(look_up(self._template), values)

    def to_json(self) -> dict[str, Any]:
        """Return template and values as an object for JSON; nested messages are nested objects."""
        return {
            "template": self._template,
            "values": {name: _json_value(value) for name, value in self._values.items()},
        }

    def __reduce__(self) -> tuple[Any, ...]:
        return _make, (self._template, dict(self._values))


def fill(template: str, values: Mapping[str, object]) -> str:
    """Return the template with the values in the places of their names. Never raises."""
    if not values:
        return template
    try:
        return template.format_map(values)
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError):
        return _fill_anyway(template, values)


def restore_message(line: str, plain: object) -> str:
    """Return the message of `Message.to_json` again if it says `line`, and the plain line if not.

    Whatever `plain` is, which may come from a stranger's file: a template is used only if it has
    simple names and bounded formats, and gives that line to the letter.
    """
    message = _read(plain, _DEEPEST)
    return message if message is not None and message == line else line


def _fill_anyway(template: str, values: Mapping[str, object]) -> str:
    # The suite makes this raise (tests/conftest.py): a wrong pair is found there, and on no page.
    return f"{template} ({', '.join(f'{name} = {value}' for name, value in values.items())})"


def _make(template: str, values: Mapping[str, Value]) -> Message:
    return Message(template, **values)


def _plain_value(value: object) -> Value:
    """The value as something that stays as it is: a Message, a number, or its text."""
    if isinstance(value, BaseException):
        # An error of ours within another brings its own message.
        value = getattr(value, "message", value)
    if isinstance(value, Message):
        return value
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, Integral):
        number = int(value)
        return number if number.bit_length() <= MOST_BITS else hex(number)
    if isinstance(value, Real):
        return float(value)
    try:
        return str(value)
    except Exception:
        return f"<{type(value).__name__}>"


def _json_value(value: Value) -> Any:
    if isinstance(value, Message):
        return value.to_json()
    # JSON has no infinity; a text in its place gives the line again where it has no format.
    return str(value) if isinstance(value, float) and not math.isfinite(value) else value


def _read(plain: object, depth: int) -> Message | None:
    if not isinstance(plain, Mapping) or depth == 0:
        return None
    template, values = plain.get("template"), plain.get("values")
    if not isinstance(template, str) or len(template) > LONGEST_TEMPLATE:
        return None
    if not isinstance(values, Mapping) or len(values) > MOST_VALUES:
        return None
    if values and field_names(template) != set(values):
        return None
    read: dict[str, Value] = {}
    for name, value in values.items():
        if not isinstance(name, str):
            return None
        if isinstance(value, Mapping):
            inner = _read(value, depth - 1)
            if inner is None:
                return None
            read[name] = inner
        elif value is None or isinstance(value, str | int | float):
            read[name] = value
        else:
            return None
    if values:
        try:
            template.format_map(read)
        except (ValueError, TypeError, LookupError, ArithmeticError):
            return None
    return Message(template, **read)


def field_names(template: str) -> set[str] | None:
    """Return the names of values in a template; None for one that asks for more than values."""
    try:
        fields = [field[1:] for field in Formatter().parse(template) if field[1] is not None]
    except ValueError:
        return None
    if all(
        name.isidentifier() and not conversion and _SPECIFICATION.fullmatch(specification or "")
        for name, specification, conversion in fields
        if name is not None
    ):
        return {name for name, *_ in fields if name is not None}
    return None
