"""Models with one thing wrong with them."""

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from glasschat.doctor import Finding, Mark
from glasschat.models.llama_cpp.preflight import PreflightResult

# All metadata of the built-in model lies in front of this.
HEADER = 1_785_664


def untried(path: Path, *, weights: bool) -> PreflightResult:
    """In the place of a trial, which costs a process each time; test_trial.py has it."""
    return PreflightResult()


def found(findings: Sequence[Finding], check: str) -> Finding:
    """The one finding of `check`."""
    of_check = [finding for finding in findings if finding.check == check]
    assert len(of_check) == 1, (check, [finding.check for finding in findings])
    return of_check[0]


def marks(findings: Sequence[Finding]) -> dict[str, Mark]:
    """The mark of each check."""
    return {finding.check: finding.mark for finding in findings}


def altered(source: Path, target: Path, *changes: Callable[[bytearray], None]) -> Path:
    """A copy of the built-in model's file with `changes` made to its metadata."""
    data = bytearray(source.read_bytes())
    for change in changes:
        change(data)
    target.write_bytes(data)
    return target


def renamed(key: str) -> Callable[[bytearray], None]:
    """Take a metadata key away: nobody asks for what it is called afterwards."""
    return replaced(_written(key), _written("x" * len(key)))


def number(key: str, value: int | float, letter: str = "I") -> Callable[[bytearray], None]:
    """Set the number of a metadata key; `letter` is struct's for its type."""

    def change(data: bytearray) -> None:
        at = data.index(_written(key), 0, HEADER) + len(_written(key)) + 4
        struct.pack_into(f"<{letter}", data, at, value)

    return change


def replaced(old: bytes, new: bytes) -> Callable[[bytearray], None]:
    """Put bytes in the place of others, of which there are as many."""
    assert len(old) == len(new)

    def change(data: bytearray) -> None:
        at = data.index(old, 0, HEADER)
        data[at : at + len(old)] = new

    return change


def _written(key: str) -> bytes:
    return struct.pack("<Q", len(key)) + key.encode()
