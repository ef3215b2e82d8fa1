"""Reader of GGUF values that checks every length before it uses it."""

import struct
from dataclasses import dataclass
from typing import BinaryIO

from glasschat.messages import Message
from glasschat.models.gguf.types import ARRAY, SCALARS, TEXT

WINDOW = 1 << 20
# No real file comes near these. They bound the time that a damaged or hostile one can take.
LONGEST_TEXT = 16 << 20
MOST_FIELDS = 100_000
MOST_TENSORS = 200_000
MOST_TEXTS = 8_000_000
# Longer arrays (the vocabulary) are passed over; per-layer ones are shorter.
SHORT_ARRAY = 1024


@dataclass(frozen=True, slots=True)
class GgufArray:
    """Placeholder for an array that was skipped, with its length."""

    length: int


Value = int | float | bool | str | tuple[int | float | bool | str, ...] | GgufArray


class CutOffError(Exception):
    """The file ends before `needed` bytes, as far as its header has been read."""

    def __init__(self, needed: int) -> None:
        self.needed = needed


class DamagedError(Exception):
    """The header claims something that is impossible; `message` is what it claims."""

    def __init__(self, template: str, /, **values: object) -> None:
        self.message = Message(template, **values)
        super().__init__(self.message)


class Reader:
    """Reads forward through `file`, of `size` bytes, a window at a time."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._size = size
        self._start = 0
        self._window = b""
        self._at = 0

    @property
    def position(self) -> int:
        """Return the offset from the start of the file, in bytes."""
        return self._start + self._at

    def number(self, letter: str) -> int:
        """Read one little-endian integer of struct's type `letter`."""
        return int(self.scalar(letter))

    def scalar(self, letter: str) -> int | float | bool:
        """Read one little-endian value of struct's type `letter`."""
        size = struct.calcsize("<" + letter)
        self._need(size)
        value: int | float | bool = struct.unpack_from("<" + letter, self._window, self._at)[0]
        self._at += size
        return value

    def scalars(self, letter: str, count: int) -> tuple[int | float | bool, ...]:
        """Read `count` values. Raises CutOffError if the file has fewer."""
        size = struct.calcsize("<" + letter)
        self._claim(count * size)
        values: list[int | float | bool] = []
        while len(values) < count:
            part = min(count - len(values), WINDOW // size)
            self._need(part * size)
            values += struct.unpack_from(f"<{part}{letter}", self._window, self._at)
            self._at += part * size
        return tuple(values)

    def text(self) -> str:
        """Read a string: its length, then that many bytes of UTF-8."""
        length = self.number("Q")
        if length > LONGEST_TEXT:
            raise DamagedError(
                "a text of {length:,} bytes at byte {position:,}",
                length=length,
                position=self.position,
            )
        self._need(length)
        data = self._window[self._at : self._at + length]
        self._at += length
        return data.decode("utf-8", errors="replace")

    def skip_scalars(self, letter: str, count: int) -> None:
        """Skip `count` values of struct's type `letter`."""
        size = count * struct.calcsize("<" + letter)
        self._claim(size)
        self._at += size

    def skip_texts(self, count: int) -> None:
        """Skip `count` strings, at a few million a second."""
        self._claim(8 * count)
        unpack = struct.Struct("<Q").unpack_from
        while count:
            self._need(8)
            window, at, last = self._window, self._at, len(self._window) - 8
            while count and at <= last:
                at += 8 + unpack(window, at)[0]
                count -= 1
            length = self._start + at - self.position
            self._claim(length)
            self._at = at

    def value(self, whole: bool, most_texts: int) -> Value:
        """Read a metadata value. A long array is skipped, unless it is wanted `whole`."""
        kind = self.number("I")
        if kind in SCALARS:
            return self.scalar(SCALARS[kind])
        if kind == TEXT:
            return self.text()
        if kind != ARRAY:
            raise DamagedError(
                "a value of the unknown type {kind} at byte {position:,}",
                kind=kind,
                position=self.position,
            )
        entries, count = self.number("I"), self.number("Q")
        if entries not in SCALARS and entries != TEXT:
            raise DamagedError(
                "an array of the unknown type {entries} at byte {position:,}",
                entries=entries,
                position=self.position,
            )
        if entries == TEXT and count > most_texts:
            raise DamagedError(
                "an array of {count:,} texts at byte {position:,}",
                count=count,
                position=self.position,
            )
        if entries == TEXT and (whole or count <= SHORT_ARRAY):
            return tuple(self.text() for _ in range(count))
        if entries == TEXT:
            self.skip_texts(count)
        elif whole or count <= SHORT_ARRAY:
            return self.scalars(SCALARS[entries], count)
        else:
            self.skip_scalars(SCALARS[entries], count)
        return GgufArray(count)

    def _claim(self, length: int) -> None:
        """Raise if the next `length` bytes go past the end of the file."""
        needed = self.position + length
        if needed > self._size:
            # The end of a file that was cut off lies within reach; that of nonsense does not.
            if needed > 1 << 50:
                raise DamagedError(
                    "a length of {length:,} bytes at byte {position:,}",
                    length=length,
                    position=self.position,
                )
            raise CutOffError(needed)

    def _need(self, length: int) -> None:
        """Load the next `length` bytes into the window; `length` is at most LONGEST_TEXT."""
        if self._at + length <= len(self._window):
            return
        self._claim(length)
        self._start, self._at = self.position, 0
        self._file.seek(self._start)
        self._window = self._file.read(max(length, WINDOW))
        if len(self._window) < length:
            raise CutOffError(self._start + length)
