"""All findings, for people and for programs.

As JSON a report is one object:

    {"glasschat": version,
     "model": {"path", "kind": "GGUF" or "folder", "name", "architecture", "storage",
               "parameters", "weight_bytes", "context"},
     "against": the same of the other model, or null,
     "findings": [{"check", "mark": "pass", "warn" or "fail", "found", "remedy", "details"}, …],
     "comparison": the same of the two models, null without another,
     "not_checked": [names of checks that could not be made],
     "summary": {"pass", "warn", "fail"}}

`remedy` is empty for a pass. `details` holds the figures of the check, and differs by check.
"""

import math
import textwrap
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from glasschat import __version__
from glasschat.doctor.facts import Facts
from glasschat.doctor.finding import Finding, Mark
from glasschat.doctor.words import plural

_NARROWEST = 40


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a terminal; where it opens a finding, `mark` is the word that begins it."""

    text: str
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """What the doctor found of `model`, and of it against `other`."""

    model: Facts
    findings: tuple[Finding, ...]
    other: Facts | None = None
    comparison: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether any check failed."""
        return self.counts[Mark.FAIL] > 0

    @property
    def counts(self) -> Counter[Mark]:
        """How many findings there are of each mark."""
        return Counter(finding.mark for finding in (*self.findings, *self.comparison))

    def as_json(self) -> dict[str, Any]:
        """Everything as plain objects, which `json` can write."""
        return {
            "glasschat": __version__,
            "model": _described(self.model),
            "against": None if self.other is None else _described(self.other),
            "findings": [_as_json(finding) for finding in self.findings],
            "comparison": None
            if self.other is None
            else [_as_json(finding) for finding in self.comparison],
            "not_checked": list(self.not_checked),
            "summary": {mark.value: self.counts[mark] for mark in Mark},
        }

    def lines(self, width: int) -> list[Line]:
        """Aligned lines of at most `width` columns; the last one sums up."""
        every = (*self.findings, *self.comparison)
        column = max((len(finding.check) for finding in every), default=0)
        indent = " " * (len("pass") + 2 + column + 2)
        room = max(_NARROWEST, width - len(indent))
        lines = [Line(str(self.model.path))]
        if self.other is not None:
            lines.append(Line(f"against {self.other.path}"))
        lines.append(Line(""))
        for place, finding in enumerate(every):
            if place == len(self.findings):
                lines.append(Line(""))
            found = _wrapped(finding.found, room)
            lines.append(Line(f"  {finding.check:<{column}}  {found[0]}", finding.mark))
            lines += [Line(indent + more) for more in found[1:]]
            if finding.remedy:
                remedy = _wrapped(finding.remedy, room - 2)
                lines.append(Line(f"{indent}→ {remedy[0]}"))
                lines += [Line(f"{indent}  {more}") for more in remedy[1:]]
        lines.append(Line(""))
        if self.not_checked:
            text = f"not checked: {', '.join(self.not_checked)}"
            lines += [Line(part) for part in _wrapped(text, width)]
        lines.append(Line(self.summary()))
        return lines

    def summary(self) -> str:
        """One line: how many of each."""
        counts = self.counts
        warnings = plural(counts[Mark.WARN], "warning") if counts[Mark.WARN] else "no warning"
        failures = plural(counts[Mark.FAIL], "failure") if counts[Mark.FAIL] else "no failure"
        return f"{counts[Mark.PASS]} passed, {warnings}, {failures}"


def _as_json(finding: Finding) -> dict[str, Any]:
    return {
        "check": finding.check,
        "mark": finding.mark.value,
        "found": finding.found,
        "remedy": finding.remedy,
        "details": _plain(finding.details),
    }


def _described(facts: Facts) -> dict[str, Any]:
    return {
        "path": str(facts.path),
        "kind": facts.kind,
        "name": facts.name,
        "architecture": facts.architecture,
        "storage": facts.storage,
        "parameters": facts.parameters,
        "weight_bytes": facts.weight_bytes,
        "context": facts.context,
    }


def _wrapped(text: str, width: int) -> list[str]:
    # Break lines in a stranger's words would break the columns.
    return textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False) or [""]


def _plain(value: Any) -> Any:
    """`value` with nothing in it that JSON has no word for."""
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
