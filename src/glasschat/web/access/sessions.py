"""Who is signed in. In memory: a restart asks everybody again."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from glasschat.web.access.base import Person

LIFETIME_S = 30 * 24 * 3600
MOST = 10_000


def key_of(token: str) -> str:
    """What is kept of a token. Who reads our memory or a log cannot come in with it."""
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """Persons by the keys of their tokens, each until it ends. Safe to use from any thread.

    Bounded: beyond `most` the session that began first is over.
    """

    def __init__(
        self,
        lifetime_s: float = LIFETIME_S,
        most: int = MOST,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime_s = lifetime_s
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._live: OrderedDict[str, tuple[Person, float]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin(self, key: str, person: Person) -> bool:
        """Let `person` in by that key from now on; False when its session has been ended."""
        with self._lock:
            if key in self._ended:
                return False
            self._live.pop(key, None)
            self._live[key] = person, self._clock() + self._lifetime_s
            while len(self._live) > self._most:
                self._live.popitem(last=False)
            return True

    def find(self, key: str | None) -> Person | None:
        """Who comes in by that key."""
        with self._lock:
            person, until = self._live.get(key or "", (None, 0.0))
            if person is not None and self._clock() >= until:
                del self._live[key or ""]
                return None
            return person

    def end(self, key: str) -> None:
        """Nobody comes in by that key any more, even if the browser still shows it.

        A key that nobody came in by is not remembered: strangers could fill the memory with them.
        """
        with self._lock:
            if self._live.pop(key, None) is None:
                return
            self._ended[key] = None
            while len(self._ended) > self._most:
                self._ended.popitem(last=False)

    def has_ended(self, key: str | None) -> bool:
        """Whether somebody signed out by that key."""
        with self._lock:
            return key in self._ended
