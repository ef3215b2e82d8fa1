"""Plan, counts and violations of a soak test."""

from collections import Counter
from dataclasses import dataclass, field
from statistics import median

MOST_TOLD = 12
# What a heap grows by while it settles, and more than that where it is large.
SETTLING_MIB = 24.0
SETTLING_SHARE = 0.08
SHORTEST_FOR_MEMORY_S = 30.0


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """Load and length of a soak test.

    `clients` programs ask for replies of up to `tokens` each, `visitors` have pages. All that is
    random follows from `seed`. `patience_s` is how long anything may take that has to happen.
    """

    seconds: float = 60.0
    clients: int = 64
    visitors: int = 8
    slots: int = 4
    waiting: int = 16
    tokens: int = 32
    seed: int = 1
    patience_s: float = 300.0


@dataclass(slots=True)
class Tally:
    """Counts of events, and the violations in words.

    `answered` has the questions whose replies a page has shown to their end: those have to be kept.
    """

    counts: Counter[str] = field(default_factory=Counter)
    violations: list[str] = field(default_factory=list)
    answered: set[str] = field(default_factory=set)

    def count(self, what: str, number: int = 1) -> None:
        """Count an event that may happen."""
        self.counts[what] += number

    def record_violation(self, what: str) -> None:
        """Record something that must not happen."""
        self.violations.append(what)


@dataclass(slots=True)
class SoakReport:
    """Result of a soak test. `memory_mib` is the server's memory, sampled every half second."""

    plan: SoakPlan
    tally: Tally = field(default_factory=Tally)
    memory_mib: list[float] = field(default_factory=list)

    @property
    def growth_mib(self) -> float:
        """Return the growth of the server's memory in MiB: its last fifth less its middle fifth."""
        size = len(self.memory_mib) // 5
        if size == 0:
            return 0.0
        return median(self.memory_mib[-size:]) - median(self.memory_mib[2 * size : 3 * size])

    def check_memory(self) -> None:
        """Record a violation if memory still grows at the end; too short a run does not show it."""
        if self.plan.seconds < SHORTEST_FOR_MEMORY_S or not self.memory_mib:
            return
        allowed = max(SETTLING_MIB, SETTLING_SHARE * median(self.memory_mib))
        if self.growth_mib > allowed:
            self.tally.record_violation(
                f"memory grew by {self.growth_mib:.0f} MiB in the second half, "
                f"and {allowed:.0f} are allowed"
            )

    @property
    def passed(self) -> bool:
        """Return whether there is no violation."""
        return not self.tally.violations

    def as_text(self) -> str:
        """Return a table for a terminal."""
        plan = self.plan
        lines = [
            f"{plan.clients} programs and {plan.visitors} pages for {plan.seconds:g} s, "
            f"{plan.slots} slots, {plan.waiting} may wait, seed {plan.seed}",
            "",
        ]
        lines += [f"{name:52} {count:8,}" for name, count in sorted(self.tally.counts.items())]
        if self.memory_mib:
            lines += [
                f"{'memory of the server at the start, MiB':52} {self.memory_mib[0]:8,.0f}",
                f"{'memory of the server at the end, MiB':52} {self.memory_mib[-1]:8,.0f}",
                f"{'grown from the middle to the end, MiB':52} {self.growth_mib:8,.0f}",
            ]
        violations = self.tally.violations
        lines += [
            "",
            "every promise was kept" if self.passed else f"{len(violations):,} BROKEN PROMISES",
        ]
        lines += [f"  {what}" for what in violations[:MOST_TOLD]]
        if len(violations) > MOST_TOLD:
            lines.append(f"  and {len(violations) - MOST_TOLD:,} more")
        return "\n".join(lines)
