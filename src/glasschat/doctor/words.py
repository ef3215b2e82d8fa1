"""Figures and strangers' texts as the report writes them."""

import json
from collections.abc import Sequence
from itertools import accumulate
from math import isfinite
from unicodedata import east_asian_width

# In columns of a terminal: letters of East Asia take two.
LONGEST = 48
# What an error's way out begins with.
_ADVICE = (
    "add", "check", "choose", "clear", "convert", "copy", "download", "free", "get", "give",
    "install", "make", "merge", "name", "pip", "put", "remove", "run", "see", "use",
)  # fmt: skip


def quoted(text: str) -> str:
    """`text` on one line between quotes, shortened; what is not printable is escaped."""
    columns = list(accumulate(2 if east_asian_width(c) in "WF" else 1 for c in text))
    fit = sum(end < LONGEST for end in columns)
    shown = text if not columns or columns[-1] <= LONGEST else text[:fit] + "…"
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in json.dumps(shown, ensure_ascii=False)
    )


def size(count: int) -> str:
    """So many bytes."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count:,} bytes"


def number(value: float) -> str:
    """A figure with its thousands apart and no needless digits."""
    if not isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def some(items: Sequence[str], most: int = 3) -> str:
    """The first of `items`, and how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more:,} more" if more > 0 else "")


def plural(count: int, one: str, many: str = "") -> str:
    """`3 tokens`, `1 token`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def parted(message: str, otherwise: str) -> tuple[str, str]:
    """An error's message as what was found and the way out that it ends with, or `otherwise`."""
    said, _, way = message.rpartition(": ")
    if said and way.split(maxsplit=1)[:1] and way.split(maxsplit=1)[0] in _ADVICE:
        return said, way
    return message, otherwise
