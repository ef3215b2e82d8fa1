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
from glasschat.doctor.finding import Finding, Mark
from glasschat.doctor.formatting import plural
from glasschat.doctor.metadata import ModelMetadata

_NARROWEST = 40


@dataclass(frozen=True, slots=True)
class Line:
    """A line for a terminal.

    `mark` is set on the first line of a finding, and comes before the text.
    """

    text: str
    mark: Mark | None = None


@dataclass(frozen=True, slots=True)
class Report:
    """Findings on `model`, and on how it compares with `other`."""

    model: ModelMetadata
    findings: tuple[Finding, ...]
    other: ModelMetadata | None = None
    comparison: tuple[Finding, ...] = ()
    not_checked: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Return whether any check failed."""
        return self.counts[Mark.FAIL] > 0

    @property
    def counts(self) -> Counter[Mark]:
        """Return the number of findings of each mark."""
        return Counter(finding.mark for finding in (*self.findings, *self.comparison))

    def as_json(self) -> dict[str, Any]:
        """Return the report as plain objects for `json`."""
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
        """Return aligned lines of at most `width` columns. The last one is the summary."""
        every = (*self.findings, *self.comparison)
        column = max((len(finding.check) for finding in every), default=0)
        indent = " " * (len("pass") + 2 + column + 2)
        text_width = max(_NARROWEST, width - len(indent))
        lines = [Line(str(self.model.path))]
        if self.other is not None:
            lines.append(Line(f"against {self.other.path}"))
        lines.append(Line(""))
        for place, finding in enumerate(every):
            if place == len(self.findings):
                lines.append(Line(""))
            found = _wrap(finding.found, text_width)
            lines.append(Line(f"  {finding.check:<{column}}  {found[0]}", finding.mark))
            lines += [Line(indent + more) for more in found[1:]]
            if finding.remedy:
                remedy = _wrap(finding.remedy, text_width - 2)
                lines.append(Line(f"{indent}→ {remedy[0]}"))
                lines += [Line(f"{indent}  {more}") for more in remedy[1:]]
        lines.append(Line(""))
        if self.not_checked:
            text = f"not checked: {', '.join(self.not_checked)}"
            lines += [Line(part) for part in _wrap(text, width)]
        lines.append(Line(self.summary()))
        return lines

    def summary(self) -> str:
        """Return the number of findings of each mark in one line."""
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
        "details": _json_value(finding.details),
    }


def _described(metadata: ModelMetadata) -> dict[str, Any]:
    return {
        "path": str(metadata.path),
        "kind": metadata.kind,
        "name": metadata.name,
        "architecture": metadata.architecture,
        "storage": metadata.storage,
        "parameters": metadata.parameters,
        "weight_bytes": metadata.weight_bytes,
        "context": metadata.context,
    }


def _wrap(text: str, width: int) -> list[str]:
    # Break lines in a stranger's words would break the columns.
    return textwrap.wrap(text, width, break_long_words=True, break_on_hyphens=False) or [""]


def _json_value(value: Any) -> Any:
    """Return `value` without anything that JSON cannot write, such as infinity."""
    if isinstance(value, Mapping):
        return {str(key): _json_value(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_json_value(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    return value
