"""The signals that travel against the stream, and those that a reply begins with."""

from collections import deque
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Beginning:
    """How a reply begins; it is there before the engine sees the reply.

    Its first tokens are `forced`, taken by hand instead of drawn. With `paused` it waits behind
    them, before the first token that is chosen, whose candidates can be seen. It pauses by itself
    at `breakpoints`.
    """

    paused: bool = False
    breakpoints: tuple[Breakpoint, ...] = ()
    forced: tuple[int, ...] = ()


AT_ONCE = Beginning()
"""Nothing by hand, and no waiting."""


class Signals:
    """What watchers ask of a reply; the engine takes it at the next step."""

    def __init__(self, beginning: Beginning = AT_ONCE) -> None:
        self.cancelled = False
        self.paused = beginning.paused
        self.steps_allowed = len(beginning.forced) if beginning.paused else 0
        self.forced = deque(beginning.forced)
        self.breakpoints = beginning.breakpoints
