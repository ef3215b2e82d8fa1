"""Limits of a chat template's render: time, the size of a value, and all values together.

Knows nothing of Jinja but the one class that holds other values, its namespace.
"""

import re
import sys
from collections.abc import ItemsView, Iterable, Iterator, KeysView, ValuesView
from contextlib import contextmanager
from dataclasses import dataclass
from time import monotonic
from types import FrameType
from typing import Any

from jinja2.utils import Namespace

from glasschat.messages import Message

SECONDS = 2.0
VALUE_SIZE = 1_000_000
TOTAL_SIZE = 128_000_000
OUTPUT_SIZE = 4_000_000
RANGE_LENGTH = 100_000
INTEGER_BITS = 10_000
# What an entry of a list or dictionary counts as, beside its own size.
ENTRY = 16

_WIDE_FORMAT = re.compile(r"%[^a-zA-Z%]*(?:\*|\d{4,})")


class LimitExceeded(BaseException):
    """The template went over a limit.

    Not an Exception: Jinja catches those in places, and would go on. `message` is what it did, as
    the end of a sentence about it.
    """

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = Message(template, **values)
        super().__init__(self.message)


@dataclass(slots=True)
class Meter:
    """Limits of one render, and what it has used of them.

    `extra` is what the messages bring along themselves, in characters.
    """

    extra: int = 0
    seconds: float = SECONDS
    spent: int = 0
    deadline: float = 0.0

    def __post_init__(self) -> None:
        self.deadline = monotonic() + self.seconds

    @property
    def value_size(self) -> int:
        """Return the largest size, in characters, that an expression's value may have."""
        return VALUE_SIZE + self.extra

    def count_value(self, value: object) -> None:
        """Count a value that an expression has just made."""
        self.spend(self.size(value))

    def spend(self, size: int) -> None:
        """Count `size` characters; call it first where an operation would make many."""
        if size > self.value_size:
            raise LimitExceeded(
                "makes a value of more than {most:,} characters", most=self.value_size
            )
        self.spent += size
        if self.spent > TOTAL_SIZE + 64 * self.extra:
            raise LimitExceeded("makes more than {most:,} characters on its way", most=TOTAL_SIZE)

    def size(self, value: object) -> int:
        """Return about how many characters `value` has when written out, with all that it holds.

        Stops counting at the limit: a list that holds itself twice over, thirty levels deep, is
        small in memory and endless when written or compared.
        """
        size = 0
        stack: list[Any] = [value]
        while stack:
            item = stack.pop()
            if isinstance(item, str):
                size += len(item)
            elif isinstance(item, (list, tuple)):
                size += ENTRY * len(item)
                if size <= self.value_size:
                    stack.extend(item)
            elif isinstance(item, (dict, Namespace)):
                entries = item if isinstance(item, dict) else item._Namespace__attrs
                size += 2 * ENTRY * len(entries)
                if size <= self.value_size:
                    stack.extend(entries)
                    stack.extend(entries.values())
            elif isinstance(item, (KeysView, ValuesView, ItemsView)):
                stack.append([*item])
            elif isinstance(item, int):
                size += item.bit_length() // 3
            if size > self.value_size:
                raise LimitExceeded(
                    "makes a value of more than {most:,} characters", most=self.value_size
                )
        return size

    def collect(self, values: Iterable[Any]) -> list[Any]:
        """Return a list of `values`. Raises LimitExceeded as soon as it is too large."""
        gathered: list[Any] = []
        size = 0
        for value in values:
            size += ENTRY + self.size(value)
            if size > self.value_size:
                self.spend(size)
            gathered.append(value)
        return gathered

    def replace(self, text: str, old: str, new: str) -> None:
        """Raise LimitExceeded for a replacement that would make too much of `text`."""
        self.spend(len(text) + text.count(old) * len(new))

    def multiply(self, left: object, right: object) -> None:
        """Raise LimitExceeded if `left * right` is too large."""
        if isinstance(left, int) and isinstance(right, int):
            self._integer(left.bit_length() + right.bit_length())
        for times, value in ((left, right), (right, left)):
            if isinstance(times, int) and isinstance(value, (str, list, tuple)):
                entry = 0 if isinstance(value, str) else ENTRY
                self.spend(max(times, 0) * (self.size(value) + entry))

    def power(self, base: object, exponent: object) -> None:
        """Raise LimitExceeded if `base ** exponent` is too large."""
        if isinstance(base, int) and isinstance(exponent, int):
            self._integer(base.bit_length() * abs(exponent))

    def percent(self, pattern: str, values: object) -> None:
        """Raise LimitExceeded if `pattern % values` could pad a value far."""
        if _WIDE_FORMAT.search(pattern):
            raise LimitExceeded("pads a value to more than 999 characters")
        self.spend(len(pattern) + pattern.count("%") * (1000 + self.size(values)))

    def _integer(self, bits: int) -> None:
        """Raise LimitExceeded for a number of too many bits."""
        if bits > INTEGER_BITS:
            raise LimitExceeded("makes a number of more than {most:,} bits", most=INTEGER_BITS)


@contextmanager
def enforce_deadline(meter: Meter, filename: str) -> Iterator[None]:
    """Stop the code that this thread runs in the block at `meter.deadline`.

    The check happens at every call of a Python function, and at every line of code that comes from
    `filename`. It runs in the thread that renders: when time is up, nothing goes on behind. It
    cannot interrupt one long call into C, which is why sizes are limited as well.
    """

    def trace(frame: FrameType, event: str, argument: object) -> Any:
        if monotonic() > meter.deadline:
            raise LimitExceeded("runs longer than {seconds:g} s", seconds=meter.seconds)
        return trace if frame.f_code.co_filename == filename else None

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        yield
    finally:
        sys.settrace(before)
