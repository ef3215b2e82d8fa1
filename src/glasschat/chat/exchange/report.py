"""What an import brought, and what it left out and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from glasschat.chat.saved import SavedConversation
from glasschat.glass import Trace

MOST_REPORTED = 1000


@dataclass(frozen=True, slots=True)
class Skipped:
    """`count` pieces of one conversation that were left out; `where` is its title or place."""

    where: str
    why: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Imported:
    """The conversations of a file, of the format that it was found to be.

    `traces` are of the first runs of replies among them, by the ids of their turns.
    """

    format: str
    conversations: tuple[SavedConversation, ...]
    skipped: tuple[Skipped, ...]
    traces: Mapping[str, Trace] = field(default_factory=dict)


class Skips:
    """Collects what is left out; alike ones are counted."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, where: str, why: str) -> None:
        """One more was left out. Beyond all measure only how many is kept."""
        if (where, why) not in self._counts and len(self._counts) >= MOST_REPORTED:
            where = "elsewhere"
        # A shortened reason is text alone, one of bearable length stays the message that it is.
        self._counts[where[:100], why if len(why) <= 300 else why[:300]] += 1

    def found(self) -> tuple[Skipped, ...]:
        """All that was noted, in order."""
        return tuple(Skipped(where, why, count) for (where, why), count in self._counts.items())
