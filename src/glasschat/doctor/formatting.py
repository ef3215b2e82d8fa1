"""Formats figures and texts of strangers for the report."""

import json
from collections.abc import Sequence
from itertools import accumulate
from math import isfinite
from unicodedata import east_asian_width

from glasschat.messages import Message

# In columns of a terminal: letters of East Asia take two.
LONGEST = 48
# How the template of an error ends that brings its way out.
_ADVICE = ": {advice}"


def quote(text: str) -> str:
    """Return `text` on one line in quotes, shortened, with unprintable characters escaped."""
    columns = list(accumulate(2 if east_asian_width(c) in "WF" else 1 for c in text))
    fit = sum(end < LONGEST for end in columns)
    shown = text if not columns or columns[-1] <= LONGEST else text[:fit] + "…"
    return "".join(
        character if character.isprintable() else json.dumps(character)[1:-1]
        for character in json.dumps(shown, ensure_ascii=False)
    )


def format_bytes(count: int) -> str:
    """Return a number of bytes in GiB, MiB or bytes."""
    if count >= 2**30:
        return f"{count / 2**30:.1f} GiB"
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count:,} bytes"


def format_number(value: float) -> str:
    """Return a number with thousands separators and without needless digits."""
    if not isfinite(value):
        return str(value)
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    return f"{value:.4g}"


def list_first(items: Sequence[str], most: int = 3) -> str:
    """Return the first `most` items as a list, and how many more there are."""
    more = len(items) - most
    return ", ".join(items[:most]) + (f" and {more:,} more" if more > 0 else "")


def plural(count: int, one: str, many: str = "") -> str:
    """Return a count with its noun, such as `3 tokens` or `1 token`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def split_advice(message: Message, otherwise: str) -> tuple[str, str]:
    """Return an error's message without its way out, and the way out, or `otherwise`."""
    advice = message.values.get("advice")
    if isinstance(advice, str) and message.template.endswith(_ADVICE):
        return str(message).removesuffix(f": {advice}"), str(advice)
    return str(message), otherwise
