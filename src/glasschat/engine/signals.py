"""The signals that travel against the stream."""

from collections import deque


class Signals:
    """What watchers ask of a reply; the engine takes it at the next step."""

    def __init__(self) -> None:
        self.cancelled = False
        self.paused = False
        self.steps_allowed = 0
        self.forced: deque[int] = deque()
