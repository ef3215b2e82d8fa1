"""What the sampler recorded behind a stage, as constraints on the candidates that remained.

The record has how many remained, the sum of their weights and the best one. Together with the order
in which cuts remove, that decides of many uncertain candidates whether they remained.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Mask
from glasschat.glass.tail_bounds import Wide

# Many times what sums of float32 over a whole vocabulary differ by.
_TOLERANCE = 1e-5
# What one rule decides may let another one decide more.
_ROUNDS = 4


class RecordedStage(NamedTuple):
    """What the sampler recorded of one stage at `n` tokens.

    `kept` (int32 [n]) is how many candidates it left, `logsumexp` (float64 [n]) is of their scores,
    `best` (int32 [n]) the id that scores highest. `certain_ids` (int32 [n, k], -1 for none) are ids
    that certainly remained, as something later shows.
    """

    kept: NDArray[np.int32]
    logsumexp: Wide
    best: NDArray[np.int32]
    certain_ids: NDArray[np.int32]


def propagate_constraints(
    candidates: CandidateSet, recorded: RecordedStage, before: CandidateSet | None
) -> CandidateSet:
    """Return the candidates behind a recorded stage, with all that its record makes certain.

    `before` are the candidates before it if the stage was a cut, which removes the worst ones. Rows
    that contradict the record become unknown.
    """
    candidates = _resolve_single(candidates, recorded)
    rows = candidates.uncertain.any(axis=1) & ~candidates.unknown
    if not rows.any():
        return candidates
    remaining, removed, fits = _ConstraintSolver(candidates, recorded, before).solve()
    possible = candidates.scores > -np.inf
    contradicted = (rows & ~fits)[:, None]
    removed &= rows[:, None] & ~contradicted
    uncertain = np.where(
        rows[:, None],
        (possible & ~remaining & ~removed) | (possible & contradicted),
        candidates.uncertain,
    )
    free = np.where(rows & fits, recorded.kept - np.count_nonzero(remaining, axis=1), recorded.kept)
    tail = candidates.tail.limit_count(np.maximum(free, 0).astype(np.float64))
    after = candidates.with_scores(
        np.where(removed, np.float32(-np.inf), candidates.scores), uncertain, tail
    )
    return replace(
        after,
        recorded_logsumexp=candidates.recorded_logsumexp,
        unknown=candidates.unknown | (rows & ~fits),
    )


def _resolve_single(candidates: CandidateSet, recorded: RecordedStage) -> CandidateSet:
    """Restore unknown rows in which one candidate was left: it is `best`, its score `logsumexp`."""
    rows = candidates.unknown & (recorded.kept == 1)
    if not rows.any():
        return candidates
    is_best = (candidates.ids == recorded.best[:, None]) & (candidates.ids >= 0)
    listed = is_best.any(axis=1)
    score = recorded.logsumexp.astype(np.float32)
    alone = np.where(is_best, score[:, None], np.float32(-np.inf))
    tail = candidates.tail.with_unknown_effect(rows, np.where(listed, 0.0, 1.0), score)
    tail = tail.limit_count(np.where(rows & listed, 0.0, tail.count))
    after = candidates.with_scores(
        np.where(rows[:, None], alone, candidates.scores),
        candidates.uncertain & ~rows[:, None],
        tail,
    )
    return replace(
        after, recorded_logsumexp=candidates.recorded_logsumexp, unknown=candidates.unknown & ~rows
    )


class _ConstraintSolver:
    """Finds which listed candidates certainly remained, and which certainly were removed."""

    def __init__(
        self, candidates: CandidateSet, recorded: RecordedStage, before: CandidateSet | None
    ) -> None:
        self._candidates = candidates
        self._kept = recorded.kept[:, None]
        self._possible: Mask = candidates.scores > -np.inf
        self._certain = None
        if before is not None:
            self._certain = (before.scores > -np.inf) & ~before.uncertain & before.above_tail
        named = (candidates.ids[:, :, None] == recorded.certain_ids[:, None, :]).any(axis=2) & (
            candidates.ids >= 0
        )
        self.remaining: Mask = self._possible & (~candidates.uncertain | named)
        is_best = (candidates.ids == recorded.best[:, None]) & self._possible
        # None scores higher than the best; an unlisted one scores less than these.
        worse_than_best = np.cumsum(is_best, axis=1) > 0
        behind = np.where(is_best.any(axis=1)[:, None], worse_than_best, ~candidates.above_tail)
        self.removed: Mask = self._possible & ~behind
        total = np.exp(np.minimum(recorded.logsumexp - candidates.top, 700.0))
        self._total, self._slack = total[:, None], (total * _TOLERANCE)[:, None]
        self._tail_weight = candidates.tail.weight_bounds(candidates.top)[1][:, None]

    def solve(self) -> tuple[Mask, Mask, Mask]:
        """Return masks of the remaining and the removed ([n, 64]), and of consistent rows ([n])."""
        for _ in range(_ROUNDS):
            self._by_weight()
            self._by_count()
            if self._certain is not None:
                self._by_order(self._certain)
        over = self._weight(self.remaining) > self._total + self._slack
        fits = ~over[:, 0] & ~(self.remaining & self.removed).any(axis=1)
        return self.remaining, self.removed, fits

    @property
    def _undecided(self) -> Mask:
        """The candidates of which neither is certain yet, [n, 64]."""
        return self._possible & ~self.remaining & ~self.removed

    def _weight(self, some: Mask) -> Wide:
        """Return the sum of the weights of `some` ([n, 64]), [n, 1]."""
        found: Wide = np.where(some, self._candidates.weights, 0.0).sum(axis=1, keepdims=True)
        return found

    def _by_weight(self) -> None:
        """Apply that the weights of those that remained sum to the recorded total."""
        missing = self._total - self._weight(self.remaining)
        self.removed |= self._undecided & (self._candidates.weights > missing + self._slack)
        possible = self._weight(self._undecided) + np.minimum(
            self._tail_weight, missing + self._slack
        )
        needed = possible - self._candidates.weights < missing - self._slack
        self.remaining |= self._undecided & needed

    def _by_count(self) -> None:
        """Apply that as many remained as were recorded."""
        free = self._kept - np.count_nonzero(self.remaining, axis=1, keepdims=True)
        self.removed |= self._undecided & (free <= 0)
        number = np.count_nonzero(self._undecided, axis=1, keepdims=True)
        self.remaining |= self._undecided & (free >= number + self._candidates.tail.count[:, None])

    def _by_order(self, certain: Mask) -> None:
        """Apply that a cut removes no candidate that scores higher than one which it leaves.

        Of equals it may leave some.
        """
        scores = self._candidates.scores
        worst = np.where(self.remaining, scores, np.inf).min(axis=1, keepdims=True)
        self.remaining |= certain & self._possible & (scores > worst)
        taken = np.where(certain & self.removed, scores, -np.inf).max(axis=1, keepdims=True)
        self.removed |= self._possible & (scores < taken)
        # Where the first so many are certain, they are those that remained.
        possible = self._possible & ~self.removed
        first = possible & (np.cumsum(possible, axis=1) <= self._kept)
        enough = np.count_nonzero(first, axis=1, keepdims=True) == self._kept
        last = np.where(first, scores, np.inf).min(axis=1, keepdims=True)
        tied = (possible & ~first & (scores == last)).any(axis=1, keepdims=True)
        sure = (certain | ~first).all(axis=1, keepdims=True)
        self.remaining |= first & enough & sure & ~tied
