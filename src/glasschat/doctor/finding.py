"""The result of one check, with advice."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Mark(StrEnum):
    """Result of a check.

    `WARN` is something to know before you rely on the model. `FAIL` is a model that by its own
    files answers badly or not at all, even where glasschat corrects it.
    """

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the doctor's report.

    `check` is the name of the check, the same in every release. `remedy` says what to do; only a
    `PASS` has none. `details` has the figures behind `found`, ready for JSON.
    """

    check: str
    mark: Mark
    found: str
    remedy: str = ""
    details: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.mark is not Mark.PASS and not self.remedy:
            raise ValueError(f"a finding that is no pass must name a remedy: {self.found}")


def report_pass(check: str, found: str, **details: Any) -> Finding:
    """Return a finding for a check that passed."""
    return Finding(check, Mark.PASS, found, details=details)


def report_warning(check: str, found: str, remedy: str, **details: Any) -> Finding:
    """Return a finding for something to know."""
    return Finding(check, Mark.WARN, found, remedy, details)


def report_failure(check: str, found: str, remedy: str, **details: Any) -> Finding:
    """Return a finding for something that has to be corrected."""
    return Finding(check, Mark.FAIL, found, remedy, details)
