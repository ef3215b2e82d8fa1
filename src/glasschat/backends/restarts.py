"""How often an engine that has failed is started again."""

import time
from collections import deque
from collections.abc import Callable

MOST = 3
WITHIN_S = 600.0


class Restarts:
    """At most `most` within `within_s` seconds: what fails more often is not mended that way.

    `count` is how many there have been. For one caller at a time.
    """

    def __init__(
        self,
        most: int = MOST,
        within_s: float = WITHIN_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.most = most
        self.within_s = within_s
        self.count = 0
        self._clock = clock
        self._moments: deque[float] = deque()

    def allow(self) -> bool:
        """Whether it may be started again now; if so, that counts as done."""
        now = self._clock()
        while self._moments and now - self._moments[0] > self.within_s:
            self._moments.popleft()
        if len(self._moments) >= self.most:
            return False
        self._moments.append(now)
        self.count += 1
        return True
