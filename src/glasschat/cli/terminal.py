"""Text for a terminal: what a model or a stranger wrote must not steer it."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from glasschat.errors import InvalidMessage

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


def warn(text: str) -> None:
    """Tell of what is unwise, or does not work and is not waited for, on standard error."""
    print(f"glasschat: warning: {text}", file=sys.stderr, flush=True)


def write_what_can_be_written() -> None:
    """Let standard output put "?" for characters that its encoding has not."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def json_text(value: Any) -> str:
    """`value` as JSON that standard output can carry without loss."""
    carries_all = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not carries_all)


@contextmanager
def fetch_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Shows how much of `name` has been fetched: a line that grows, or one for each tenth."""
    shown = -1

    def show(done: int, whole: int) -> None:
        nonlocal shown
        share = 100 * done // whole if whole else 100
        # In a file every line stays: a tenth at a time will do.
        share -= 0 if sys.stderr.isatty() else share % 10
        if share == shown:
            return
        shown = share
        text = f"glasschat: fetching {name}: {done / 1e6:,.0f} of {whole / 1e6:,.0f} MB, {share}%"
        print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, end="", file=sys.stderr)
        print(end="" if sys.stderr.isatty() else "\n", file=sys.stderr, flush=True)

    try:
        yield show
    finally:
        if shown >= 0 and sys.stderr.isatty():
            print(file=sys.stderr)


def read_standard_input() -> str:
    """All of standard input. Raises InvalidMessage for bytes that are no text."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidMessage(
            f"standard input is no text in {error.encoding}: its byte {error.start + 1:,} is "
            f"0x{error.object[error.start]:02X}: convert it to {error.encoding}"
        ) from None
