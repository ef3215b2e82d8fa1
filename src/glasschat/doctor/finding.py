"""What one check found, and what to do about it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mark(StrEnum):
    """How a check ended.

    `WARN` is something to know before one relies on the model; `FAIL` is a model that by its own
    files answers badly, or not at all, even where glasschat mends it.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    `check` is the name of what was looked at, the same in every release; `remedy` says what to
    do, and is there unless the mark is `PASS`. `details` are the figures behind `found`, ready
    for JSON.
    """

    check: str
    mark: Mark
    found: str
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mark is not Mark.PASS and not self.remedy:
            raise ValueError(f"a finding that is no pass must name a remedy: {self.found}")


def passed(check: str, found: str, **details: Any) -> Finding:
    """All is well."""
    return Finding(check, Mark.PASS, found, details=details)


def warned(check: str, found: str, remedy: str, **details: Any) -> Finding:
    """Something to know."""
    return Finding(check, Mark.WARN, found, remedy, details)


def failed(check: str, found: str, remedy: str, **details: Any) -> Finding:
    """Something that must be mended."""
    return Finding(check, Mark.FAIL, found, remedy, details)
