"""Figures of a benchmark, as a table and as JSON."""

import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from statistics import median
from typing import Any

from glasschat import __version__


@dataclass(frozen=True, slots=True)
class Figure:
    """One comparison: our figure against a rival's, measured in turn in the same run.

    `ours` and `theirs` are medians over `runs`. `ratio` is ours to theirs where more is better,
    theirs to ours where less is, so that above 1 is always in our favour; it is the median of
    the ratios of neighbouring runs, which a drifting machine moves least. `target` is the least
    ratio that was promised, None where nothing was.
    """

    name: str
    unit: str
    ours: float
    rival: str
    theirs: float
    ratio: float
    target: float | None
    runs: int

    @property
    def met(self) -> bool | None:
        """Return whether `ratio` reaches the target; None without a target."""
        return None if self.target is None else self.ratio >= self.target


def compare(
    name: str,
    unit: str,
    ours: Sequence[float],
    rival: str,
    theirs: Sequence[float],
    *,
    target: float | None = None,
    less_is_better: bool = False,
) -> Figure:
    """Return the medians and the paired ratio of two series of runs taken in turn."""
    pairs = zip(ours, theirs, strict=True)
    ratios = [b / a if less_is_better else a / b for a, b in pairs]
    return Figure(
        name, unit, median(ours), rival, median(theirs), median(ratios), target, len(ours)
    )


@dataclass(slots=True)
class Report:
    """All figures of one run, the circumstances, and what could not be measured."""

    model: str
    threads: int
    figures: list[Figure] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """Return everything as plain objects for JSON."""
        return {
            "glasschat": __version__,
            "date": datetime.now(UTC).date().isoformat(),
            "model": self.model,
            "machine": f"{platform.machine()}, {os.cpu_count()} cores",
            "threads": self.threads,
            "figures": [asdict(figure) | {"met": figure.met} for figure in self.figures],
            "details": self.details,
            "not_measured": self.skipped,
        }

    def as_text(self) -> str:
        """Return a table for a terminal."""
        lines = [
            f"{self.model}, {self.threads} threads, {platform.machine()}, {os.cpu_count()} cores",
            "",
            f"{'':44} {'ours':>9} {'theirs':>9} {'':9} {'ratio':>6} {'target':>6}",
        ]
        for figure in self.figures:
            target = "" if figure.target is None else f"{figure.target:.2f}"
            mark = {None: "", True: "met", False: "MISSED"}[figure.met]
            lines.append(
                f"{figure.name:44} {figure.ours:9.3g} {figure.theirs:9.3g} {figure.unit:9} "
                f"{figure.ratio:6.2f} {target:>6} {mark:6} against {figure.rival}"
            )
        lines += [f"not measured: {name}: {why}" for name, why in self.skipped.items()]
        return "\n".join(lines)
