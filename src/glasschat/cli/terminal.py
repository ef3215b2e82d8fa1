"""Input and output on a terminal, which no text of a model or a stranger may control."""

import io
import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from glasschat.errors import InvalidMessage

_CONTROL_PICTURES = {code: 0x2400 + code for code in range(32) if chr(code) not in "\n\t"} | {
    0x7F: 0x2421,
    **dict.fromkeys(range(0x80, 0xA0), 0xFFFD),
}


def printable(text: str) -> str:
    """Replace control characters by their pictures, except line breaks and tabs."""
    return text.translate(_CONTROL_PICTURES)


def printable_on_stdout(text: str) -> str:
    """Return `text` unchanged if standard output is a file or a pipe, else as `printable` does."""
    return printable(text) if sys.stdout.isatty() else text


def warn(text: str) -> None:
    """Print a warning to standard error."""
    print(f"glasschat: warning: {text}", file=sys.stderr, flush=True)


def replace_unencodable_characters() -> None:
    """Make standard output write "?" for characters that its encoding does not have."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")


def json_text(value: Any) -> str:
    """Return `value` as JSON, escaped to ASCII if standard output cannot encode all characters."""
    carries_all = (getattr(sys.stdout, "encoding", None) or "").lower().startswith("utf")
    return json.dumps(value, ensure_ascii=not carries_all)


@contextmanager
def fetch_progress(name: str) -> Iterator[Callable[[int, int], None]]:
    """Show the progress of a download on standard error.

    It is a line that is overwritten on a terminal, and a line for each tenth in a file.
    """
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
    """Read all of standard input. Raises InvalidMessage for bytes that are not valid text."""
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        raise InvalidMessage(
            "standard input is no text in {encoding}: its byte {start:,} is 0x{object:02X}: "
            "convert it to {encoding}",
            encoding=error.encoding,
            start=error.start + 1,
            object=error.object[error.start],
        ) from None
