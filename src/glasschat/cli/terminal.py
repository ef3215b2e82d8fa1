"""Text for a terminal: what a model or a stranger wrote must not steer it."""

import sys

_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def printable(text: str) -> str:
    """`text` with control characters as their pictures; line breaks and tabs stay."""
    return text.translate(_PICTURES)


def printable_here(text: str) -> str:
    """`text` as it is for a file or a pipe, `printable` for a terminal."""
    return printable(text) if sys.stdout.isatty() else text
