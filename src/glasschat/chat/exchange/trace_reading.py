"""A file with a recorded reply, whoever wrote it: read, or refused with its line."""

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from glasschat.chat.exchange.file_model import validate
from glasschat.chat.exchange.json_input import parse_json_line
from glasschat.chat.exchange.trace_file import TraceFile
from glasschat.chat.exchange.trace_models import TraceHeader, TraceLine
from glasschat.engine import Step
from glasschat.errors import GlasschatError, InvalidImport

LONGEST_LINE = 64 * 2**20
"""Bytes of one line."""


def lines_of(stream: BinaryIO) -> Iterator[bytes]:
    """Read the lines of an open file, none longer than what is refused anyway."""
    while line := stream.readline(LONGEST_LINE + 2):
        yield line


def read_trace(lines: Iterable[bytes]) -> TraceFile:
    """Return the trace of a file's lines. Raises InvalidImport, naming the line.

    The lines are taken one by one: a file that is no trace is refused at its first. A last line
    that was cut off is one of those that are refused, and so is a file with fewer tokens than its
    header says.
    """
    number, count, header = 0, 0, None
    steps: list[Step] = []
    try:
        for line in lines:
            number += 1
            if header is None:
                header = validate(TraceHeader, _parse_line(line))
                count = header.tokens
            elif line.strip():
                if len(steps) == count:
                    raise InvalidImport(
                        "the header says {count:,} tokens, and there are more", count=count
                    )
                steps.append(_read_step(_parse_line(line), header.vocab_size))
        if header is None:
            raise InvalidImport("the file is empty")
        if len(steps) != count:
            raise InvalidImport(
                "the header says {count:,} tokens, and {found:,} are there",
                count=count,
                found=len(steps),
            )
        return header.build(steps)
    except GlasschatError as error:
        raise InvalidImport("line {number}: {error}", number=max(number, 1), error=error) from None


def _parse_line(line: bytes) -> Any:
    if len(line) > LONGEST_LINE:
        raise InvalidImport(
            "it is longer than {longest_line:,.0f} MB", longest_line=LONGEST_LINE / 2**20
        )
    return parse_json_line(line)


def _read_step(plain: Any, vocab_size: int) -> Step:
    line = validate(TraceLine, plain, vocab_size=vocab_size, last_id=vocab_size - 1)
    return line.build()
