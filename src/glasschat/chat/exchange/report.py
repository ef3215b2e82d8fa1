"""Report of an import: the conversations, and what was left out and why."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from glasschat.chat.saved import SavedConversation
from glasschat.glass import Trace

MOST_REPORTED = 1000


@dataclass(frozen=True, slots=True)
class Skipped:
    """Parts of one conversation that were left out, `count` times for the same reason.

    `where` is the title of the conversation, or its place in the file.
    """

    where: str
    why: str
    count: int = 1


@dataclass(frozen=True, slots=True)
class Imported:
    """The conversations of a file, and the format that was detected.

    `traces` are of the first runs of replies among them, by the ids of their turns.
    """

    format: str
    conversations: tuple[SavedConversation, ...]
    skipped: tuple[Skipped, ...]
    traces: Mapping[str, Trace] = field(default_factory=dict)


class Skips:
    """Collects what an import leaves out; equal entries are counted."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, str]] = Counter()

    def note(self, where: str, why: str) -> None:
        """Record that something was left out.

        After MOST_REPORTED different entries, new ones are counted without their place.
        """
        if (where, why) not in self._counts and len(self._counts) >= MOST_REPORTED:
            where = "elsewhere"
        # A reason of at most 300 characters stays a Message; a shortened one becomes plain text.
        self._counts[where[:100], why if len(why) <= 300 else why[:300]] += 1

    def found(self) -> tuple[Skipped, ...]:
        """Return all entries, in the order in which they were recorded first."""
        return tuple(Skipped(where, why, count) for (where, why), count in self._counts.items())
