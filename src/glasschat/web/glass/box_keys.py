"""Keys of opened glass boxes: each stands for the reply that the box is opened on."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from secrets import token_urlsafe

MOST = 2000
"""Keys that are remembered; for one that was forgotten the page's next run makes a new one."""


@dataclass(frozen=True, slots=True)
class Subject:
    """A reply: whose it is, in which conversation, and its turn."""

    owner: str
    conversation: str
    turn: str


class BoxKeys:
    """Issues unguessable keys. Whoever has one was shown that reply by the page.

    Safe to use from any thread.
    """

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._lock = threading.Lock()
        self._keys: OrderedDict[Subject, str] = OrderedDict()
        self._subjects: dict[str, Subject] = {}

    def open(self, subject: Subject) -> str:
        """Return the key of that reply's box, the same each time."""
        with self._lock:
            key = self._keys.get(subject)
            if key is None:
                key = self._keys[subject] = token_urlsafe(24)
                self._subjects[key] = subject
            self._keys.move_to_end(subject)
            while len(self._keys) > self._most:
                _, oldest = self._keys.popitem(last=False)
                del self._subjects[oldest]
            return key

    def find(self, key: str) -> Subject | None:
        """Return the reply that `key` was issued for, None for an unknown key."""
        with self._lock:
            return self._subjects.get(key)
