"""The warpers that cut, over the recorded candidates of many tokens.

Each finds which of the listed candidates certainly are left and which may be: the bounds of what
is not known, and of what a cut before left open, go through the comparison that the sampler makes.
What the sampler wrote down itself, how many candidates a stage left, settles it.
"""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Mask
from glasschat.glass.tail_bounds import Wide
from glasschat.sampling import MinP, TopK, TopP, TypicalP

Cut = TopK | TopP | MinP | TypicalP

# Within it the sampler itself compares in another way; many times what sums of float32 differ by.
_DOUBT = 1e-5


class RecordedStage(NamedTuple):
    """What the sampler wrote down of a stage: how many it left, their log-sum-exp, the best one.

    `left` ([n, k]) are ids that certainly were left, -1 for none.
    """

    kept: NDArray[np.int32]
    after: Wide
    best: NDArray[np.int32]
    left: NDArray[np.int32]

    def at(self, place: int) -> "RecordedStage":
        """Of one token alone."""
        row = slice(place, place + 1)
        return RecordedStage(self.kept[row], self.after[row], self.best[row], self.left[row])


def cut(
    layer: CandidateSet, stage: Cut, vocab_size: int, told: RecordedStage | None
) -> CandidateSet:
    """The layer after a stage that cuts; `told` is what is known of this very stage."""
    if told is not None:
        return _window(layer, told) if isinstance(stage, TypicalP) else _settled(layer, told)
    match stage:
        case TopK():
            return _top_k(layer, stage.top_k, vocab_size)
        case TopP():
            return _top_p(layer, stage.top_p)
        case MinP():
            return _min_p(layer, stage.min_p)
        case TypicalP():
            return _typical_p(layer, stage.typical_p)


def _top_k(layer: CandidateSet, k: int, vocab_size: int) -> CandidateSet:
    if k >= vocab_size:
        return layer
    alive = layer.scores > -np.inf
    certain = alive & ~layer.maybe
    # How many come before each one: those that score higher, for equals stay together.
    higher = _before(alive, layer) + np.where(_reached(layer), 0, layer.others.count[:, None])
    fewest = _before(certain, layer)
    possible = alive & (fewest < k)
    surely = certain & (higher < k)
    # So many that certainly are left come before all others.
    ahead = np.count_nonzero(certain & layer.above, axis=1)
    # All that equal the last one stay, however many they are.
    left = np.where(ahead >= k, 0.0, layer.others.count)
    all_stay = layer.alive + layer.others.count <= k
    return layer.keep(possible, ~surely, layer.others.some(left, all_stay))


def _before(mask: Mask, layer: CandidateSet) -> NDArray[np.int64]:
    """How many of `mask` score higher than each one, [n, 64]."""
    counts: NDArray[np.int64] = np.cumsum(mask, axis=1) - mask
    # Equals take the number of the first of them.
    first = np.ones_like(mask)
    first[:, 1:] = layer.scores[:, 1:] != layer.scores[:, :-1]
    starts = np.maximum.accumulate(np.where(first, np.arange(mask.shape[1]), 0), axis=1)
    found: NDArray[np.int64] = np.take_along_axis(counts, starts, axis=1)
    return found


def _reached(layer: CandidateSet) -> Mask:
    """Which of the listed no other scores higher than, [n, 64]."""
    ceiling = np.where(layer.alone, -np.inf, layer.others.ceiling)[:, None]
    return layer.scores >= ceiling.astype(np.float32)


def _top_p(layer: CandidateSet, p: float) -> CandidateSet:
    limit = float(np.float32(1.0 - p))
    low, high = (np.maximum(total, 1e-300)[:, None] for total in layer.total)
    alive = layer.scores > -np.inf
    certain = np.where(layer.above, layer.sure_weights, 0.0).sum(axis=1)
    # Others that may come before a candidate count as if all of them did, or none.
    others = np.where(layer.above, 0.0, layer.others.weight(layer.top)[1][:, None])
    most_before = np.cumsum(layer.weights, axis=1) - layer.weights + others
    least_before = np.cumsum(layer.sure_weights, axis=1) - layer.sure_weights
    # What would be left below each candidate if it went too; the best one of all stays.
    surely = (1.0 - most_before / low > limit + _DOUBT) & alive
    surely[:, 0] |= layer.above[:, 0] & alive[:, 0]
    possible = (1.0 - least_before / high > limit - _DOUBT) & alive
    possible[:, 0] |= alive[:, 0]
    gone = layer.alone | (1.0 - certain / high[:, 0] <= limit - _DOUBT)
    left = np.where(gone, 0.0, layer.others.count)
    fewest, most = np.count_nonzero(surely, axis=1), np.count_nonzero(possible, axis=1)
    # Of equals at the cut not all stay: where it is not known how many do, each may go.
    edge = layer.scores.shape[1] - 1
    first_out = np.take_along_axis(layer.scores, np.minimum(fewest, edge)[:, None], axis=1)
    last_in = np.take_along_axis(layer.scores, np.maximum(most - 1, 0)[:, None], axis=1)
    open_tie = (layer.maybe & (layer.scores == last_in)).any(axis=1)
    exact = ((fewest == most) & ~open_tie)[:, None]
    surely &= layer.scores > first_out
    possible = (layer.scores >= last_in) & alive
    kept = np.where(exact, _best(layer, most), possible)
    return layer.keep(kept, ~exact & ~surely, layer.others.some(left))


def _min_p(layer: CandidateSet, p: float) -> CandidateSet:
    alive = layer.scores > -np.inf
    # The best one of all may be a little better than the best one listed, or be gone.
    sure_top = (layer.above & ~layer.maybe)[:, :1]
    surely = alive & (layer.weights >= p * (1 + _DOUBT)) & sure_top
    surely[:, :1] |= alive[:, :1] & sure_top
    possible = alive & ((layer.weights >= p * (1 - _DOUBT)) | ~sure_top)
    share = np.exp(np.minimum(layer.others.ceiling.astype(np.float64) - layer.top, 700.0))
    gone = layer.alone | (sure_top[:, 0] & (share < p * (1 - _DOUBT)))
    left = np.where(gone, 0.0, layer.others.count)
    return layer.keep(possible, ~surely, layer.others.some(left))


def _typical_p(layer: CandidateSet, mass: float) -> CandidateSet:
    total = layer.middle[:, None]
    alive = layer.scores > -np.inf
    shares = np.where(alive, layer.weights / total, 0.0)
    surprise = np.log(total) - np.where(alive, layer.scores - layer.top[:, None], 0.0)
    # What the others add to the entropy is left out where there are any: a guess then.
    entropy = (shares * surprise).sum(axis=1, keepdims=True)
    far = np.where(alive, np.abs(surprise - entropy), np.inf)
    nearest = np.sort(far, axis=1)
    order = np.argsort(far, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1)
    place = np.clip(np.count_nonzero(sums < mass, axis=1), 0, np.maximum(layer.alive - 1, 0))
    farthest = np.take_along_axis(nearest, place[:, None], axis=1)
    kept = alive & (far <= farthest)
    # Sums and distances are float32's in the sampler.
    near = (np.abs(sums - mass) < _DOUBT).any(axis=1)
    near |= ((np.abs(far - farthest) < _DOUBT * (1 + entropy)) & (far != farthest)).any(axis=1)
    doubtful = (near | ~layer.alone | ~layer.sure)[:, None]
    nothing = np.where(layer.alone, 0.0, layer.others.count)
    return layer.keep(np.where(doubtful, alive, kept), doubtful & alive, layer.others.some(nothing))


def _window(layer: CandidateSet, told: RecordedStage) -> CandidateSet:
    """What typical-p left: of all so many in a row the ones that weigh what the sampler wrote."""
    size = layer.scores.shape[1]
    keep = np.minimum(told.kept, size)[:, None]
    sums = np.concatenate([np.zeros((len(keep), 1)), np.cumsum(layer.weights, axis=1)], axis=1)
    first = np.arange(size + 1)
    weight = np.take_along_axis(sums, np.minimum(first + keep, size), axis=1) - sums
    fits = np.abs(np.log(weight) - (told.after - layer.top)[:, None]) < _DOUBT
    fits &= first + keep <= np.count_nonzero(layer.above, axis=1)[:, None]
    start = np.argmax(fits, axis=1)[:, None]
    # Several that weigh the same may be other tokens.
    one = (np.count_nonzero(fits, axis=1) == 1)[:, None] & layer.sure[:, None]
    kept = (first[:-1] >= start) & (first[:-1] < start + keep)
    left = np.where(one[:, 0], 0.0, np.minimum(layer.others.count, told.kept))
    alive = layer.scores > -np.inf
    return layer.keep(np.where(one, kept, alive), ~one & alive, layer.others.some(left))


def _settled(layer: CandidateSet, told: RecordedStage) -> CandidateSet:
    """After a cut that left the best `told.kept` of each row, the others' best among them."""
    above = np.count_nonzero(layer.above, axis=1)
    # Either so many of those that certainly are the best, or all of them and some others.
    within = (told.kept <= above) | layer.alone
    keep = np.where(within, np.minimum(told.kept, layer.alive), layer.alive)
    left = np.where(within, 0.0, np.maximum(told.kept - above, 0))
    all_stay = told.kept >= layer.alive + layer.others.count
    maybe = (~within & ~all_stay)[:, None] & ~layer.above
    # Where somebody may have been gone before, anybody may be now.
    keep = np.where(layer.sure, keep, layer.alive)
    left = np.where(layer.sure, left, told.kept)
    maybe |= ~layer.sure[:, None]
    return layer.keep(_best(layer, keep), maybe, layer.others.some(left, all_stay & layer.sure))


def _best(layer: CandidateSet, keep: NDArray[np.int64]) -> Mask:
    """The first `keep` of each row, but of those that equal the last one the highest ids."""
    size = layer.scores.shape[1]
    kept = np.arange(size) < keep[:, None]
    behind = np.take_along_axis(layer.scores, np.minimum(keep, size - 1)[:, None], axis=1)[:, 0]
    last = np.take_along_axis(layer.scores, np.maximum(keep - 1, 0)[:, None], axis=1)[:, 0]
    tied = (behind == last) & (keep < size) & (keep > 0) & (last > -np.inf)
    for row in np.flatnonzero(tied):
        equal = np.flatnonzero(layer.scores[row] == last[row])
        stay = int(keep[row]) - int(equal[0])
        kept[row, equal] = False
        kept[row, equal[len(equal) - stay :]] = True
    return kept


# Many times what sums of float32 over a whole vocabulary differ by.
_ROUNDS = 4


def propagate_constraints(
    layer: CandidateSet, told: RecordedStage, before: CandidateSet | None
) -> CandidateSet:
    """The layer behind a recorded stage, with all that is certain of who was left.

    `before` is the layer before it where the stage was a cut, which takes the worst ones of those
    that were left. A row that cannot be true is a guess from here on.
    """
    layer = _single(layer, told)
    rows = layer.maybe.any(axis=1) & ~layer.guessed
    if not rows.any():
        return layer
    inside, gone, fits = _Search(layer, told, before).found()
    alive = layer.scores > -np.inf
    lost = (rows & ~fits)[:, None]
    gone &= rows[:, None] & ~lost
    maybe = np.where(rows[:, None], (alive & ~inside & ~gone) | (alive & lost), layer.maybe)
    free = np.where(rows & fits, told.kept - np.count_nonzero(inside, axis=1), told.kept)
    others = layer.others.refined(np.maximum(free, 0).astype(np.float64))
    after = layer.with_scores(np.where(gone, np.float32(-np.inf), layer.scores), maybe, others)
    return replace(after, told=layer.told, guessed=layer.guessed | (rows & ~fits))


def _single(layer: CandidateSet, told: RecordedStage) -> CandidateSet:
    """Where one alone was left, it is the best one, and what all weigh is its score."""
    rows = layer.guessed & (told.kept == 1)
    if not rows.any():
        return layer
    is_best = (layer.ids == told.best[:, None]) & (layer.ids >= 0)
    listed = is_best.any(axis=1)
    score = told.after.astype(np.float32)
    alone = np.where(is_best, score[:, None], np.float32(-np.inf))
    others = layer.others.clouded(rows, np.where(listed, 0.0, 1.0), score)
    others = others.refined(np.where(rows & listed, 0.0, others.count))
    after = layer.with_scores(
        np.where(rows[:, None], alone, layer.scores), layer.maybe & ~rows[:, None], others
    )
    return replace(after, told=layer.told, guessed=layer.guessed & ~rows)


class _Search:
    """Those of the listed who certainly are left, `inside`, and who certainly are `gone`."""

    def __init__(
        self, layer: CandidateSet, told: RecordedStage, before: CandidateSet | None
    ) -> None:
        self._layer = layer
        self._kept = told.kept[:, None]
        self._alive: Mask = layer.scores > -np.inf
        self._certain = None
        if before is not None:
            self._certain = (before.scores > -np.inf) & ~before.maybe & before.above
        named = (layer.ids[:, :, None] == told.left[:, None, :]).any(axis=2) & (layer.ids >= 0)
        self.inside: Mask = self._alive & (~layer.maybe | named)
        is_best = (layer.ids == told.best[:, None]) & self._alive
        # Nobody scores higher than the best; one that is not listed scores less than these.
        worse_than_best = np.cumsum(is_best, axis=1) > 0
        behind = np.where(is_best.any(axis=1)[:, None], worse_than_best, ~layer.above)
        self.gone: Mask = self._alive & ~behind
        total = np.exp(np.minimum(told.after - layer.top, 700.0))
        self._total, self._slack = total[:, None], (total * _DOUBT)[:, None]
        self._most_others = layer.others.weight(layer.top)[1][:, None]

    def found(self) -> tuple[Mask, Mask, Mask]:
        """`inside`, `gone`, and in which rows all of it can be true ([n])."""
        for _ in range(_ROUNDS):
            self._by_weight()
            self._by_number()
            if self._certain is not None:
                self._by_order(self._certain)
        over = self._weight(self.inside) > self._total + self._slack
        fits = ~over[:, 0] & ~(self.inside & self.gone).any(axis=1)
        return self.inside, self.gone, fits

    @property
    def _maybe(self) -> Mask:
        return self._alive & ~self.inside & ~self.gone

    def _weight(self, some: Mask) -> Wide:
        found: Wide = np.where(some, self._layer.weights, 0.0).sum(axis=1, keepdims=True)
        return found

    def _by_weight(self) -> None:
        missing = self._total - self._weight(self.inside)
        self.gone |= self._maybe & (self._layer.weights > missing + self._slack)
        possible = self._weight(self._maybe) + np.minimum(self._most_others, missing + self._slack)
        needed = possible - self._layer.weights < missing - self._slack
        self.inside |= self._maybe & needed

    def _by_number(self) -> None:
        free = self._kept - np.count_nonzero(self.inside, axis=1, keepdims=True)
        self.gone |= self._maybe & (free <= 0)
        number = np.count_nonzero(self._maybe, axis=1, keepdims=True)
        self.inside |= self._maybe & (free >= number + self._layer.others.count[:, None])

    def _by_order(self, certain: Mask) -> None:
        """A cut takes nobody who scores higher than somebody whom it leaves.

        Of equals it may leave some.
        """
        scores = self._layer.scores
        worst = np.where(self.inside, scores, np.inf).min(axis=1, keepdims=True)
        self.inside |= certain & self._alive & (scores > worst)
        taken = np.where(certain & self.gone, scores, -np.inf).max(axis=1, keepdims=True)
        self.gone |= self._alive & (scores < taken)
        # Where the first so many are certain, they are those that are left.
        possible = self._alive & ~self.gone
        first = possible & (np.cumsum(possible, axis=1) <= self._kept)
        enough = np.count_nonzero(first, axis=1, keepdims=True) == self._kept
        last = np.where(first, scores, np.inf).min(axis=1, keepdims=True)
        tied = (possible & ~first & (scores == last)).any(axis=1, keepdims=True)
        sure = (certain | ~first).all(axis=1, keepdims=True)
        self.inside |= first & enough & sure & ~tied
