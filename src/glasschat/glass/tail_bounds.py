"""Bounds for the tokens that a record does not list: what they weigh together and score at most.

A record lists the 64 likeliest candidates. For all other tokens, the tail, it has the sum of their
weights at some temperatures, and the sum for those of them that stood in prompt or reply before,
which are the ones that penalties modify; and each scores at most as much as the last one listed.
The logarithm of the sum of weights is convex in 1 / temperature, so lines through two of the
recorded points bound it everywhere else.
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
# The inverse temperatures at which a record has the sum of weights; at 0 it is the number of terms.
_INVERSE_TEMPERATURES = (0.0, *(1 / temperature for temperature in TEMPERATURES))
# The logarithm of what may have been too small for float32, summed over a whole vocabulary: a root
# is taken of what was lost before.
_LOST = (-30.0, -30.0, -64.0, -64.0, -64.0)
# How far below the likeliest token of the tail scores are followed; what lies deeper is counted as
# if it lay there. The first is the better one at low temperatures, the second at high ones.
_DEPTHS = (15.0, 40.0)


@dataclass(frozen=True, slots=True, eq=False)
class TailBounds:
    """Bounds for the tokens that `n` records do not list, after some stages; arrays are [n].

    Exact, as recorded, of the raw row (float64): `raw_top` and `raw_last` are the scores of the
    first and the last listed token, `raw_logsumexp` ([n, 5]) the logarithm of the sum of the tail's
    weights at each of `TEMPERATURES`, `raw_seen` that of its tokens that stood in prompt or reply
    before, at temperature 1, and `raw_count` the number of its tokens.

    Upper bounds, behind the stages so far: `count` (float64) is how many tokens are left, `ceiling`
    (float32) the highest score, `modified_count` (float64) how many of them a processor modified,
    `unseen_count` (float64) how many of the modified ones need not have been seen before.

    `low` and `high` (float32 [n, 3]) bound the scores of the modified tokens from below and above:
    for a token whose raw score is that of the last one listed, and for tokens `_DEPTHS` below.
    Where the tail is not `complete` (bool), a cut may have removed any of its tokens; where it is
    `unknown` (bool), nothing holds but `count` and `ceiling`. `inverse_temperature` (float64) is 1
    divided by the product of all temperatures.
    """

    raw_top: Wide
    raw_last: Wide
    raw_logsumexp: Wide
    raw_seen: Wide
    raw_count: Wide
    count: Wide
    ceiling: Row
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    modified_count: Wide
    unseen_count: Wide
    complete: NDArray[np.bool_]
    unknown: NDArray[np.bool_]
    inverse_temperature: Wide

    @classmethod
    def from_columns(cls, columns: Columns, vocab_size: int) -> "TailBounds":
        """Return the bounds for the raw rows, before any stage."""
        listed = np.count_nonzero(columns.ids >= 0, axis=1)
        full = listed == columns.ids.shape[1]
        count = np.where(full, vocab_size - listed, 0).astype(np.float64)
        last = np.where(full, columns.logits[:, -1], -np.inf).astype(np.float32)
        ends = np.stack([last, *(last - np.float32(depth) for depth in _DEPTHS)], axis=1)
        return cls(
            raw_top=columns.logits[:, 0].astype(np.float64),
            raw_last=last.astype(np.float64),
            raw_logsumexp=np.where(full[:, None], columns.tail, -np.inf).astype(np.float64),
            raw_seen=np.where(full, columns.seen, -np.inf).astype(np.float64),
            raw_count=count,
            count=count,
            ceiling=last,
            low=ends,
            high=ends,
            modified_count=np.zeros(len(columns)),
            unseen_count=np.zeros(len(columns)),
            complete=np.ones(len(columns), np.bool_),
            unknown=np.zeros(len(columns), np.bool_),
            inverse_temperature=np.ones(len(columns)),
        )

    def modify(
        self, count: Wide, low: NDArray[np.float32], high: NDArray[np.float32], *, seen_only: bool
    ) -> "TailBounds":
        """Return the bounds after a processor that modified at most `count` ([n]) more tokens.

        `low` and `high` are the new bounds for their scores (float32 [n, 3]). `seen_only` says that
        all of them stood in prompt or reply before.
        """
        more = np.maximum(count, 0)
        modified = np.minimum(self.modified_count + more, self.count)
        highest = np.where(modified > 0, high[:, 0], -np.inf).astype(np.float32)
        unseen = self.unseen_count
        if not seen_only:
            unseen = np.minimum(unseen + more, self.count)
        return replace(
            self,
            low=low,
            high=high,
            modified_count=modified,
            unseen_count=unseen,
            ceiling=np.maximum(self.ceiling, highest),
        )

    def divide_by_temperature(self, temperature: Wide) -> "TailBounds":
        """Return the bounds after the scores were divided by `temperature`, float64 [n]."""
        divisor = temperature.astype(np.float32)
        return replace(
            self,
            ceiling=self.ceiling / divisor,
            low=self.low / divisor[:, None],
            high=self.high / divisor[:, None],
            inverse_temperature=self.inverse_temperature / temperature,
        )

    def after_cut(
        self, count: Wide, nothing_removed: NDArray[np.bool_] | None = None
    ) -> "TailBounds":
        """Return the bounds after a cut that left at most `count` ([n]) tokens of the tail.

        Where `nothing_removed` ([n]) it certainly left all of them.
        """
        left = np.minimum(count, self.count)
        if nothing_removed is None:
            nothing_removed = np.zeros_like(self.complete)
        return replace(
            self,
            count=left,
            modified_count=np.minimum(self.modified_count, left),
            unseen_count=np.minimum(self.unseen_count, left),
            ceiling=np.where(left > 0, self.ceiling, -np.inf).astype(np.float32),
            complete=self.complete & nothing_removed,
        )

    def with_unknown_effect(
        self, rows: NDArray[np.bool_], count: Wide, ceiling: Row
    ) -> "TailBounds":
        """Return the bounds after a stage whose effect is not known, in `rows` (bool [n]).

        What holds there is that at most `count` tokens are left, and none scores above `ceiling`.
        """
        wide = rows[:, None]
        return replace(
            self,
            count=np.where(rows, np.minimum(count, self.count), self.count),
            ceiling=np.where(rows, ceiling, self.ceiling).astype(np.float32),
            low=np.where(wide, np.float32(-np.inf), self.low),
            high=np.where(wide, ceiling[:, None], self.high).astype(np.float32),
            complete=self.complete & ~rows,
            unknown=self.unknown | rows,
        )

    def limit_count(self, count: Wide) -> "TailBounds":
        """Return the same bounds, knowing that at most `count` ([n]) tokens are left."""
        left = np.minimum(count, self.count)
        ceiling = np.where(left > 0, self.ceiling, -np.inf).astype(np.float32)
        return replace(self, count=left, ceiling=ceiling)

    def weight_bounds(self, top: Wide) -> tuple[Wide, Wide]:
        """Return a lower and an upper bound ([n] each) for the sum of `exp(score - top)`."""
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            low, high = self._raw_weight_bounds()
            scale = np.exp(np.minimum(self.inverse_temperature * self.raw_top - top, 700.0))
            most = self.count * np.exp(np.minimum(self.ceiling.astype(np.float64) - top, 700.0))
            low, high = low * scale, high * scale
        high = np.where(self.unknown, np.inf, high)
        none = self.count == 0
        # A part of the tokens weighs at most what all of them do.
        high = np.where(none, 0.0, np.fmin(high, most))
        return np.where(self.complete & ~none, np.minimum(low, high), 0.0), high

    def _raw_weight_bounds(self) -> tuple[Wide, Wide]:
        """Return the same relative to the tempered score of the likeliest token, if complete."""
        power = self.inverse_temperature
        span = self.raw_last - self.raw_top
        least, most = _convex_bounds(self.raw_logsumexp, self.raw_count, span, power)
        plain = power[:, None] * (self.raw_last[:, None] - np.array([0.0, *_DEPTHS]))
        base = power * self.raw_top
        modified = np.minimum(most, self._modified_weight_bound(np.exp(plain[:, 0] - base)))
        low, high = np.zeros_like(least), np.full_like(most, np.inf)
        for deep in (1, 2):
            # Losses are concave in the raw score, gains convex: both are greatest at an end.
            ends = [0, deep]
            loss = 1.0 - np.exp(np.minimum((self.low - plain)[:, ends].min(axis=1), 0.0))
            gain = np.exp(np.maximum((self.high - plain)[:, ends].max(axis=1), 0.0)) - 1.0
            lost = modified * loss + self.modified_count * np.exp(plain[:, deep] - base)
            won = modified * gain + self.modified_count * np.exp(self.high[:, deep] - base)
            low = np.fmax(low, least - np.where(loss > 0, lost, 0.0))
            high = np.fmin(high, most + np.where(gain > 0, won, 0.0))
        return low, high

    def _modified_weight_bound(self, last: Wide) -> Wide:
        """Return an upper bound for the weight of the modified tokens, each at most `last`."""
        power = self.inverse_temperature
        number = self.modified_count - np.minimum(self.unseen_count, self.modified_count)
        seen = np.exp(np.logaddexp(self.raw_seen, -64.0)) * (1 + _ROUNDING)
        # From a power of 1 on each is at most the likeliest one's share of what they weigh
        # together; below it a sum of powers is greatest where all are alike.
        raised = np.where(
            power >= 1.0,
            seen * last ** ((power - 1.0) / power),
            np.maximum(number, 1.0) ** (1.0 - power) * seen**power,
        )
        seen = np.minimum(raised, number * last)
        return seen + self.unseen_count * last


def _convex_bounds(logsumexp: Wide, count: Wide, last: Wide, power: Wide) -> tuple[Wide, Wide]:
    """Return bounds ([n] each) for the sum of `exp(power * x)` over `count` ([n]) terms.

    `logsumexp` ([n, 5]) has the logarithm of the sum at the powers of `TEMPERATURES`; no `x` lies
    above `last` ([n]). `power` is [n].
    """
    known = logsumexp.T
    lows = [np.full(len(count), -np.inf), *known]
    highs = [np.log(count), *(np.logaddexp(t, lost) for t, lost in zip(known, _LOST, strict=True))]
    points = list(zip(_INVERSE_TEMPERATURES, lows, highs, strict=True))
    lower = np.full(len(count), -np.inf)
    upper = np.full(len(count), np.inf)
    for at, low, high in points:
        # The slope is at most `last` everywhere.
        line, beyond = (power - at) * last, power >= at
        upper = np.fmin(upper, np.where(beyond, high + line, np.inf))
        lower = np.fmax(lower, np.where(beyond, -np.inf, low + line))
    for (left, low_left, high_left), (right, low_right, high_right) in pairwise(points):
        span = right - left
        share = (left - power) / span
        below = low_left * (1 + share) - high_right * share
        lower = np.fmax(lower, np.where(power < left, below, -np.inf))
        share = (power - right) / span
        above = low_right * (1 + share) - high_left * share
        lower = np.fmax(lower, np.where(power > right, above, -np.inf))
        share = (power - left) / span
        between = high_left * (1 - share) + high_right * share
        inside = (power >= left) & (power <= right)
        upper = np.fmin(upper, np.where(inside, between, np.inf))
    for at, low, _high in points:
        # At a point itself it is known.
        lower = np.fmax(lower, np.where(power == at, low, -np.inf))
    return np.exp(lower) * (1 - _ROUNDING), np.exp(upper) * (1 + _ROUNDING)
