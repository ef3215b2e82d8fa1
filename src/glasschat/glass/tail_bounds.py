"""What is known of the tokens that a record does not list: bounds for what they weigh and score.

A record lists the 64 likeliest candidates. Of all others it says together what they weigh at some
temperatures, and what those of them weigh that were seen before, which are the ones that penalties
touch; and each scores at most as the last one listed. The logarithm of what they weigh is convex
in 1 / temperature, so that lines through two of the points bound it everywhere else.
"""

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling import TEMPERATURES, Columns

Wide = NDArray[np.float64]
Row = NDArray[np.float32]

# A record's weights are sums of float32.
_ROUNDING = 2e-5
# Where a record says what they weigh; at a power of 0 that is their number.
_POWERS = (0.0, *(1 / temperature for temperature in TEMPERATURES))
# The logarithm of what may have been too small for float32, summed over a whole vocabulary: a root
# is taken of what was lost before.
_LOST = (-30.0, -30.0, -64.0, -64.0, -64.0)
# How far below the likeliest of the others they are followed; what lies deeper is counted as if it
# lay there. The first is the better one at low temperatures, the second at high ones.
_DEPTHS = (15.0, 40.0)


@dataclass(frozen=True, slots=True, eq=False)
class TailBounds:
    """The tokens not listed of `n` records, after some stages; all arrays are [n].

    `count` is how many are left, `ceiling` what none of them scores above. `low` and `high` bound
    their scores ([n, 3]) where a processor touched them: at the raw score of the last one listed,
    and `_DEPTHS` below. `touched` is at most how many were touched, `unseen` how many of these
    need not have been seen before, `power` 1 over all temperatures. Where they are not `whole`, a
    cut may have taken any of them; where they are `opaque`, nothing is known but `count` and
    `ceiling`.
    """

    raw_top: Wide
    raw_last: Wide
    tail: Wide
    seen: Wide
    raw_count: Wide
    count: Wide
    ceiling: Row
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    touched: Wide
    unseen: Wide
    whole: NDArray[np.bool_]
    opaque: NDArray[np.bool_]
    power: float = 1.0

    @classmethod
    def of(cls, columns: Columns, vocab_size: int) -> "TailBounds":
        """Before any stage."""
        listed = np.count_nonzero(columns.ids >= 0, axis=1)
        full = listed == columns.ids.shape[1]
        count = np.where(full, vocab_size - listed, 0).astype(np.float64)
        last = np.where(full, columns.logits[:, -1], -np.inf).astype(np.float32)
        ends = np.stack([last, *(last - np.float32(depth) for depth in _DEPTHS)], axis=1)
        return cls(
            raw_top=columns.logits[:, 0].astype(np.float64),
            raw_last=last.astype(np.float64),
            tail=np.where(full[:, None], columns.tail, -np.inf).astype(np.float64),
            seen=np.where(full, columns.seen, -np.inf).astype(np.float64),
            raw_count=count,
            count=count,
            ceiling=last,
            low=ends,
            high=ends,
            touched=np.zeros(len(columns)),
            unseen=np.zeros(len(columns)),
            whole=np.ones(len(columns), np.bool_),
            opaque=np.zeros(len(columns), np.bool_),
        )

    def touch(
        self, count: Wide, low: NDArray[np.float32], high: NDArray[np.float32], *, seen: bool
    ) -> "TailBounds":
        """After a processor that touched at most `count` more of them, or of those `seen`.

        `low` and `high` are the new bounds for their scores.
        """
        more = np.maximum(count, 0)
        touched = np.minimum(self.touched + more, self.count)
        above = np.where(touched > 0, high[:, 0], -np.inf).astype(np.float32)
        return replace(
            self,
            low=low,
            high=high,
            touched=touched,
            unseen=self.unseen if seen else np.minimum(self.unseen + more, self.count),
            ceiling=np.maximum(self.ceiling, above),
        )

    def temper(self, temperature: float) -> "TailBounds":
        """Divided by a temperature."""
        divisor = np.float32(temperature)
        return replace(
            self,
            ceiling=self.ceiling / divisor,
            low=self.low / divisor,
            high=self.high / divisor,
            power=self.power / temperature,
        )

    def some(self, count: Wide, untouched: NDArray[np.bool_] | None = None) -> "TailBounds":
        """After a cut that left at most `count` of them, and certainly all where `untouched`."""
        left = np.minimum(count, self.count)
        return replace(
            self,
            count=left,
            touched=np.minimum(self.touched, left),
            unseen=np.minimum(self.unseen, left),
            ceiling=np.where(left > 0, self.ceiling, -np.inf).astype(np.float32),
            whole=self.whole & untouched if untouched is not None else np.zeros_like(self.whole),
        )

    def clouded(self, rows: NDArray[np.bool_], count: Wide, ceiling: Row) -> "TailBounds":
        """In some rows after a stage of which no more is known than how many it left, at most, and
        how high these score at most.
        """
        wide = rows[:, None]
        return replace(
            self,
            count=np.where(rows, np.minimum(count, self.count), self.count),
            ceiling=np.where(rows, ceiling, self.ceiling).astype(np.float32),
            low=np.where(wide, np.float32(-np.inf), self.low),
            high=np.where(wide, ceiling[:, None], self.high).astype(np.float32),
            whole=self.whole & ~rows,
            opaque=self.opaque | rows,
        )

    def refined(self, count: Wide) -> "TailBounds":
        """As they are, told that there are no more than `count` of them."""
        left = np.minimum(count, self.count)
        ceiling = np.where(left > 0, self.ceiling, -np.inf).astype(np.float32)
        return replace(self, count=left, ceiling=ceiling)

    def weight(self, top: Wide) -> tuple[Wide, Wide]:
        """Between what and what the sum of their `exp(score - top)` lies."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            low, high = self._weight()
            scale = np.exp(np.minimum(self.power * self.raw_top - top, 700.0))
            most = self.count * np.exp(np.minimum(self.ceiling.astype(np.float64) - top, 700.0))
            low, high = low * scale, high * scale
        high = np.where(self.opaque, np.inf, high)
        none = self.count == 0
        # A part of them weighs at most what all do.
        high = np.where(none, 0.0, np.fmin(high, most))
        return np.where(self.whole & ~none, np.minimum(low, high), 0.0), high

    def _weight(self) -> tuple[Wide, Wide]:
        """The same relative to the likeliest raw score, tempered; for those that are whole."""
        least, most = _convex(self.tail, self.raw_count, self.raw_last - self.raw_top, self.power)
        plain = self.power * (self.raw_last[:, None] - np.array([0.0, *_DEPTHS]))
        base = self.power * self.raw_top
        reached = np.minimum(most, self._reached(np.exp(plain[:, 0] - base)))
        low, high = np.zeros_like(least), np.full_like(most, np.inf)
        for deep in (1, 2):
            # Losses are concave in the raw score, gains convex: both are greatest at an end.
            ends = [0, deep]
            loss = 1.0 - np.exp(np.minimum((self.low - plain)[:, ends].min(axis=1), 0.0))
            gain = np.exp(np.maximum((self.high - plain)[:, ends].max(axis=1), 0.0)) - 1.0
            lost = reached * loss + self.touched * np.exp(plain[:, deep] - base)
            won = reached * gain + self.touched * np.exp(self.high[:, deep] - base)
            low = np.fmax(low, least - np.where(loss > 0, lost, 0.0))
            high = np.fmin(high, most + np.where(gain > 0, won, 0.0))
        return low, high

    def _reached(self, last: Wide) -> Wide:
        """What those weigh at most that were touched; `last` is what the likeliest of them may."""
        number = self.touched - np.minimum(self.unseen, self.touched)
        seen = np.exp(np.logaddexp(self.seen, -64.0)) * (1 + _ROUNDING)
        if self.power >= 1.0:
            # Each at most the likeliest one's share of what they weigh together.
            raised = seen * last ** ((self.power - 1.0) / self.power)
        else:
            # A sum of powers below 1 is greatest where all are alike.
            raised = np.maximum(number, 1.0) ** (1.0 - self.power) * seen**self.power
        seen = np.minimum(raised, number * last)
        return seen + self.unseen * last


def _convex(tail: Wide, count: Wide, last: Wide, power: float) -> tuple[Wide, Wide]:
    """Bounds for the sum of `exp(power * x)`, from those at `_POWERS` and the number of terms.

    `tail` is [n, 5]; no `x` lies above `last`.
    """
    lows = [np.full(len(count), -np.inf), *tail.T]
    highs = [np.log(count), *(np.logaddexp(t, lost) for t, lost in zip(tail.T, _LOST, strict=True))]
    points = list(zip(_POWERS, lows, highs, strict=True))
    lower = np.full(len(count), -np.inf)
    upper = np.full(len(count), np.inf)
    for at, low, high in points:
        # The slope is at most `last` everywhere.
        if power >= at:
            upper = np.fmin(upper, high + (power - at) * last)
        else:
            lower = np.fmax(lower, low + (power - at) * last)
    for (left, low_left, high_left), (right, low_right, high_right) in pairwise(points):
        span = right - left
        if power < left:
            share = (left - power) / span
            lower = np.fmax(lower, low_left * (1 + share) - high_right * share)
        elif power > right:
            share = (power - right) / span
            lower = np.fmax(lower, low_right * (1 + share) - high_left * share)
        else:
            share = (power - left) / span
            upper = np.fmin(upper, high_left * (1 - share) + high_right * share)
            # At a point itself it is known.
            if power in (left, right):
                lower = np.fmax(lower, low_left if power == left else low_right)
    return np.exp(lower) * (1 - _ROUNDING), np.exp(upper) * (1 + _ROUNDING)
