"""The candidates of many tokens between two stages."""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.tail_bounds import TailBounds, Wide

Scores = NDArray[np.float32]
Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

# What a total that the sampler wrote down may differ by from the one that it drew with: sums of
# float32.
_ROUNDING = 3e-6


@dataclass(frozen=True, eq=False)
class CandidateSet:
    """The listed candidates of `n` tokens, likeliest first and of equals the lower id.

    `ids` (int32) and `scores` (float32; -inf for removed ones, which come last) are [n, 64].
    `maybe` ([n, 64]) are those of which it is not certain that they are left: they are in the
    list, and out of the lower bounds. Where the row is `guessed` ([n]), not even its scores are
    certain. `others` is what is known of the rest. `told` is the log-sum-exp that the sampler wrote
    down here, NaN where it did not get here with these settings.
    """

    ids: NDArray[np.int32]
    scores: Scores
    maybe: Mask
    others: TailBounds
    told: Wide
    guessed: Mask

    @cached_property
    def top(self) -> Wide:
        """The score of the best one listed; 0 where none is left."""
        top = self.scores[:, 0].astype(np.float64)
        return np.where(top > -np.inf, top, 0.0)

    @cached_property
    def weights(self) -> Wide:
        """`exp(score - top)`, [n, 64]."""
        return np.exp(self.scores - self.top[:, None])

    @cached_property
    def sure_weights(self) -> Wide:
        """The weights of those that certainly are left, 0 for the others."""
        return np.where(self.maybe, 0.0, self.weights)

    @cached_property
    def alive(self) -> Counts:
        """How many of the listed are left, those of whom it is not certain included."""
        found: Counts = np.count_nonzero(self.scores > -np.inf, axis=1)
        return found

    @cached_property
    def alone(self) -> Mask:
        """Whether only listed ones are left, [n]."""
        found: Mask = self.others.count == 0
        return found

    @cached_property
    def above(self) -> Mask:
        """Which of the listed certainly score higher than all others, [n, 64]."""
        ceiling = np.where(self.alone, -np.inf, self.others.ceiling)[:, None]
        found: Mask = (self.scores > ceiling.astype(np.float32)) & ~self.guessed[:, None]
        return found

    @cached_property
    def sure(self) -> Mask:
        """Whether it is certain which of the listed are left, [n]."""
        found: Mask = ~np.any(self.maybe, axis=1) & ~self.guessed
        return found

    @cached_property
    def total(self) -> tuple[Wide, Wide]:
        """Between what and what the sum of `exp(score - top)` over all that are left lies."""
        fewest, listed = self.sure_weights.sum(axis=1), self.weights.sum(axis=1)
        low, high = self.others.weight(self.top)
        told = np.exp(np.minimum(self.told - self.top, 700.0))
        known = np.isfinite(self.told)
        least = np.where(known, told, fewest + low) * (1 - _ROUNDING)
        most = np.where(known, told, listed + high) * (1 + _ROUNDING)
        # Where no others are left nothing was summed but these, and that exactly.
        return np.where(self.alone, fewest, least), np.where(self.alone, listed, most)

    @cached_property
    def middle(self) -> Wide:
        """The best guess for that sum."""
        low, high = self.total
        return np.maximum((low + high) / 2, 1e-300)

    def with_scores(self, scores: Scores, maybe: Mask, others: TailBounds) -> "CandidateSet":
        """The same candidates with other scores, in order again."""
        order = np.lexsort((self.ids, -scores), axis=-1)
        return CandidateSet(
            ids=np.take_along_axis(self.ids, order, axis=1),
            scores=np.take_along_axis(scores, order, axis=1),
            maybe=np.take_along_axis(maybe & (scores > -np.inf), order, axis=1),
            others=others,
            told=np.full(len(scores), np.nan),
            guessed=self.guessed,
        )

    def tempered(self, temperature: float) -> "CandidateSet":
        """All divided by a temperature: the order stays, but of those that became equal."""
        scores = self.scores / np.float32(temperature)
        return self.with_scores(scores, self.maybe, self.others.temper(temperature))

    def keep(self, kept: Mask, maybe: Mask, others: TailBounds) -> "CandidateSet":
        """After a cut that left `kept` of the listed, and perhaps the `maybe` among them."""
        scores = np.where(kept, self.scores, np.float32(-np.inf))
        return self.with_scores(scores, self.maybe | maybe, others)

    def doubted(self, *, masked: bool) -> "CandidateSet":
        """After a stage of which it is not known what it did, or whom it removed (`masked`)."""
        alive = self.scores > -np.inf
        others = self.others.some(self.others.count)
        after = self.with_scores(self.scores, alive, others)
        return after if masked else replace(after, guessed=np.ones(len(alive), np.bool_))

    def confirmed(self, others: TailBounds, told: Wide) -> "CandidateSet":
        """With what the sampler wrote down here."""
        return replace(self, others=others, told=told)
