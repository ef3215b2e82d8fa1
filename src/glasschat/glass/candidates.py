"""The candidates of many tokens between two stages: scores where exact, intervals elsewhere."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.tail_bounds import TailBounds, Wide

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

# What a recorded sum of weights may differ by from the one that was drawn with: sums of float32.
_ROUNDING = 3e-6


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """The listed candidates of `n` tokens, likeliest first and of equals the lower id.

    `ids` (int32 [n, 64], -1 behind the last) and `scores` (float32 [n, 64], -inf for removed ones,
    which come last) are the list. Scores are exact, the very float32 of the sampler, except in
    rows that are `unknown` (bool [n]): there a stage ran whose effect cannot be stated, and `ids`
    and `scores` are placeholders. `uncertain` (bool [n, 64]) marks those of which it is not certain
    that they remain: they count in upper bounds and not in lower ones. `tail` bounds the tokens
    that are not listed. `recorded_logsumexp` (float64 [n]) is the log-sum-exp that the sampler
    recorded at this point, NaN where it did not get here with these settings.
    """

    ids: NDArray[np.int32]
    scores: Scores
    uncertain: Mask
    tail: TailBounds
    recorded_logsumexp: Wide
    unknown: Mask

    @cached_property
    def top(self) -> Wide:
        """The score of the best listed candidate, float64 [n]; 0 where none is left."""
        top = self.scores[:, 0].astype(np.float64)
        return np.where(top > -np.inf, top, 0.0)

    @cached_property
    def weights(self) -> Wide:
        """`exp(score - top)`, float64 [n, 64]; of uncertain candidates an upper bound."""
        return np.exp(self.scores - self.top[:, None])

    @cached_property
    def lower_weights(self) -> Wide:
        """The lower bound of the weights, float64 [n, 64]: 0 for uncertain candidates."""
        return np.where(self.uncertain, 0.0, self.weights)

    @cached_property
    def possible_count(self) -> Counts:
        """How many listed candidates may remain, int64 [n]."""
        found: Counts = np.count_nonzero(self.scores > -np.inf, axis=1)
        return found

    @cached_property
    def fully_listed(self) -> Mask:
        """Whether no token is left that is not listed, bool [n]."""
        found: Mask = self.tail.count == 0
        return found

    @cached_property
    def above_tail(self) -> Mask:
        """Which listed candidates certainly score higher than the whole tail, bool [n, 64]."""
        ceiling = np.where(self.fully_listed, -np.inf, self.tail.ceiling)[:, None]
        found: Mask = (self.scores > ceiling.astype(np.float32)) & ~self.unknown[:, None]
        return found

    @cached_property
    def certain(self) -> Mask:
        """Whether it is certain which of the listed candidates remain, bool [n]."""
        found: Mask = ~np.any(self.uncertain, axis=1) & ~self.unknown
        return found

    @cached_property
    def total_bounds(self) -> tuple[Wide, Wide]:
        """Lower and upper bound of the sum of `exp(score - top)` over all that remain, [n] each."""
        fewest, listed = self.lower_weights.sum(axis=1), self.weights.sum(axis=1)
        low, high = self.tail.weight_bounds(self.top)
        recorded = np.exp(np.minimum(self.recorded_logsumexp - self.top, 700.0))
        known = np.isfinite(self.recorded_logsumexp)
        least = np.where(known, recorded, fewest + low) * (1 - _ROUNDING)
        most = np.where(known, recorded, listed + high) * (1 + _ROUNDING)
        # Where no other tokens are left nothing was summed but these, and that exactly. In unknown
        # rows the sum is a placeholder like the scores.
        least = np.where(self.fully_listed, fewest, least)
        most = np.where(self.fully_listed, listed, most)
        return np.where(self.unknown, listed, least), np.where(self.unknown, listed, most)

    @cached_property
    def total(self) -> Wide:
        """The middle of `total_bounds`, [n]: exact to rounding where it is recorded."""
        low, high = self.total_bounds
        return np.maximum((low + high) / 2, 1e-300)

    def with_scores(self, scores: Scores, uncertain: Mask, tail: TailBounds) -> "CandidateSet":
        """Return the same candidates with other scores (float32 [n, 64]), sorted again."""
        order = np.lexsort((self.ids, -scores), axis=-1)
        return CandidateSet(
            ids=np.take_along_axis(self.ids, order, axis=1),
            scores=np.take_along_axis(scores, order, axis=1),
            uncertain=np.take_along_axis(uncertain & (scores > -np.inf), order, axis=1),
            tail=tail,
            recorded_logsumexp=np.full(len(scores), np.nan),
            unknown=self.unknown,
        )

    def divide_by_temperature(self, temperature: float | Wide) -> "CandidateSet":
        """Return all scores divided by `temperature`, one for all rows or one for each ([n]).

        Only those that became equal change their order.
        """
        temperature = np.broadcast_to(np.asarray(temperature, np.float64), len(self.ids))
        scores = self.scores / temperature.astype(np.float32)[:, None]
        return self.with_scores(
            scores, self.uncertain, self.tail.divide_by_temperature(temperature)
        )

    def after_cut(self, kept: Mask, uncertain: Mask, tail: TailBounds) -> "CandidateSet":
        """Return what a cut left: at most `kept` of the list, those `uncertain` perhaps (bool)."""
        scores = np.where(kept, self.scores, np.float32(-np.inf))
        return self.with_scores(scores, self.uncertain | uncertain, tail)

    def after_unknown_mask(self) -> "CandidateSet":
        """Return what a stage left that removed some tokens, it is not known which.

        The scores of those that remain are as they were: so a grammar works.
        """
        possible = self.scores > -np.inf
        return self.with_scores(self.scores, possible, self.tail.after_cut(self.tail.count))

    def with_unknown_effect(self, rows: Mask | None = None) -> "CandidateSet":
        """Return what a stage left whose effect is not known, in `rows` (bool [n]; None: all)."""
        if rows is None:
            rows = np.ones(len(self.ids), np.bool_)
        possible = self.scores > -np.inf
        # Any of the listed may be removed now, so all count as the tail does.
        count = self.tail.count + self.possible_count
        tail = replace(self.tail, count=np.where(rows, count, self.tail.count))
        tail = tail.with_unknown_effect(rows, count, np.full(len(rows), np.inf, np.float32))
        uncertain = np.where(rows[:, None], possible, self.uncertain)
        after = self.with_scores(self.scores, uncertain, tail)
        return replace(after, unknown=self.unknown | rows)

    def with_record(self, tail: TailBounds, logsumexp: Wide) -> "CandidateSet":
        """Return the same with the log-sum-exp ([n]) that the sampler recorded at this point."""
        return replace(self, tail=tail, recorded_logsumexp=logsumexp)
