"""Sessions of signed-in users, in memory: after a restart everybody signs in again."""

import hashlib
import threading
import time
from collections import OrderedDict
from collections.abc import Callable

from glasschat.web.access.base import User

LIFETIME_S = 30 * 24 * 3600
MAX_SESSIONS = 10_000


def token_hash(token: str) -> str:
    """Return the hash that is kept of a token: who reads our memory or a log cannot use it."""
    return hashlib.sha256(token.encode()).hexdigest()


class Sessions:
    """Users by the hashes of their tokens, each until the session ends. Safe from any thread.

    Bounded: beyond `most` sessions the one that began first ends.
    """

    def __init__(
        self,
        lifetime_s: float = LIFETIME_S,
        most: int = MAX_SESSIONS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._lifetime_s = lifetime_s
        self._most = most
        self._clock = clock
        self._lock = threading.Lock()
        self._live: OrderedDict[str, tuple[User, float]] = OrderedDict()
        self._ended: OrderedDict[str, None] = OrderedDict()

    def begin(self, key: str, user: User) -> bool:
        """Begin a session of `user` under that key; return False where it has been ended."""
        with self._lock:
            if key in self._ended:
                return False
            self._live.pop(key, None)
            self._live[key] = user, self._clock() + self._lifetime_s
            while len(self._live) > self._most:
                self._live.popitem(last=False)
            return True

    def find(self, key: str | None) -> User | None:
        """Return the user whose session has that key, or None."""
        with self._lock:
            user, until = self._live.get(key or "", (None, 0.0))
            if user is not None and self._clock() >= until:
                del self._live[key or ""]
                return None
            return user

    def end(self, key: str) -> None:
        """End the session for good: its key is refused even if the browser still sends it.

        A key without a session is not remembered: strangers could fill the memory with them.
        """
        with self._lock:
            if self._live.pop(key, None) is None:
                return
            self._ended[key] = None
            while len(self._ended) > self._most:
                self._ended.popitem(last=False)

    def has_ended(self, key: str | None) -> bool:
        """Tell whether the session of that key was ended by signing out."""
        with self._lock:
            return key in self._ended
