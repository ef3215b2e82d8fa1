"""Number of compute threads, chosen by measured speed while the program runs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

# A probe of another count takes this many steps; its first is not counted.
PROBE_STEPS = 3
RECENT_STEPS = 6
SHORTEST_INTERVAL = 48
LONGEST_INTERVAL = 1536
# A step that takes so many times the usual one is reason to look at once.
SPIKE = 2.5
# Another count must be better by this factor, or chance would decide.
BETTER = 0.93


class ThreadTuner:
    """Picks the number of threads that is fastest right now, for each size of step by itself.

    llama.cpp's threads wait for each other several hundred times a token: all cores are best on a
    quiet machine, and one core fewer is several times better beside a busy neighbour, such as a
    browser that draws the reply. So now and then, and at once when a step takes unusually long, a
    few steps are run with another count, and the faster one stays.
    """

    def __init__(self, most: int) -> None:
        self.counts = tuple(sorted({most, max(1, most - 1), max(1, most // 2)}, reverse=True))
        self._sizes: dict[int, _Size] = {}

    def choose(self, tokens: int) -> int:
        """Return the number of threads for a step of `tokens` tokens."""
        return self._size(tokens).count

    def record_step(self, tokens: int, seconds: float) -> None:
        """Record the duration of a step that ran with the number from `choose`."""
        self._size(tokens).record_step(seconds / tokens)

    def _size(self, tokens: int) -> "_Size":
        """Return the state for steps of this size."""
        # Steps of like size cost alike per token; large ones are all chunks of prompts.
        return self._sizes.setdefault(min(tokens.bit_length(), 6), _Size(self.counts))


@dataclass(slots=True)
class _Size:
    """Tuning state for steps of one size: the favourite count, and perhaps one on trial."""

    counts: Sequence[int]
    favourite: int = 0
    trial: int | None = None
    recent: list[float] = field(default_factory=list)
    tried: list[float] = field(default_factory=list)
    waiting: list[int] = field(default_factory=list)
    until_probe: int = SHORTEST_INTERVAL
    interval: int = SHORTEST_INTERVAL

    @property
    def count(self) -> int:
        """Return the number of threads for the next step."""
        return self.counts[self.favourite if self.trial is None else self.trial]

    def record_step(self, cost: float) -> None:
        """Record the seconds per token of one step."""
        if self.trial is None:
            self._record_favourite(cost)
        else:
            self._record_trial(cost)

    def _record_favourite(self, cost: float) -> None:
        """Record a step of the favourite count; begin trials when due or after a slow step."""
        usual = median(self.recent) if self.recent else cost
        self.recent = [*self.recent[1 - RECENT_STEPS :], cost]
        self.until_probe -= 1
        if len(self.counts) < 2:
            return
        if cost > SPIKE * usual and self.until_probe > 0:
            # What was usual is over; what comes now is compared with what comes now.
            self.recent = [cost]
            self.interval = SHORTEST_INTERVAL
            self.until_probe = 0
        if self.until_probe <= 0:
            self.waiting = [i for i in range(len(self.counts)) if i != self.favourite]
            self._next_trial()

    def _record_trial(self, cost: float) -> None:
        """Record a step of the count on trial; make it the favourite if it is faster."""
        self.tried.append(cost)
        usual = median(self.recent)
        hopeless = cost > SPIKE * usual
        if len(self.tried) < PROBE_STEPS and not hopeless:
            return
        assert self.trial is not None
        if not hopeless and min(self.tried[1:]) < BETTER * usual:
            self.favourite, self.recent = self.trial, self.tried[1:]
            self.interval = SHORTEST_INTERVAL
        self._next_trial()

    def _next_trial(self) -> None:
        """Begin the next trial, or schedule the next round of them."""
        self.tried = []
        self.trial = self.waiting.pop() if self.waiting else None
        if self.trial is None:
            self.until_probe = self.interval
            self.interval = min(2 * self.interval, LONGEST_INTERVAL)
