"""The signals that travel against the stream."""

from collections import deque
from collections.abc import Sequence
from typing import Protocol

from glasschat.sampling import StepRecord


class Breakpoint(Protocol):
    """Where a reply shall pause by itself.

    It is the engine's thread that asks, between two steps, and every reply waits meanwhile.
    """

    def before(self, coming: StepRecord) -> bool:
        """Whether to pause before this choice falls; `coming` is as if it had fallen."""

    def after(self, text: str, new: int) -> bool:
        """Whether to pause behind a token: `text` is the reply's, its last `new` characters are
        the token's.
        """


class Signals:
    """What watchers ask of a reply; the engine takes it at the next step."""

    def __init__(self, paused: bool = False, breakpoints: Sequence[Breakpoint] = ()) -> None:
        self.cancelled = False
        self.paused = paused
        self.steps_allowed = 0
        self.forced: deque[int] = deque()
        self.breakpoints = tuple(breakpoints)
