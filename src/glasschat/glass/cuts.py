"""The warpers that cut, over the recorded candidates of many tokens.

Each finds which of the listed candidates certainly remain and which may: the bounds of what is not
known, and of what an earlier cut left open, go through the comparison that the sampler makes. What
the sampler recorded itself, how many candidates a stage left, decides it.
"""

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.candidates import CandidateSet, Counts, Mask
from glasschat.glass.constraints import RecordedStage
from glasschat.glass.tail_bounds import Wide
from glasschat.sampling import MinP, TopK, TopP, TypicalP
from glasschat.sampling.top_n_sigma import TopNSigma
from glasschat.sampling.xtc import XTC

WorstFirstCut = TopK | TopP | MinP | TopNSigma
"""The cuts that remove no token that scores higher than one that they leave."""

Cut = WorstFirstCut | TypicalP | XTC

# Closer than this the sampler itself may compare the other way round; many times what sums of
# float32 differ by.
_TOLERANCE = 1e-5


def apply_cut(
    candidates: CandidateSet,
    stage: Cut,
    vocab_size: int,
    recorded: RecordedStage | None,
    second_draws: Wide,
    measured: Wide,
) -> CandidateSet:
    """Return the candidates after a cut.

    `recorded` is what the sampler itself recorded of it, `second_draws` (float64 [n]) the second
    number of each place, for a cut that is left to chance, `measured` (float64 [n]) what the stage
    takes from the whole row, NaN where that is not known.
    """
    if isinstance(stage, XTC):
        acts = second_draws <= stage.probability
        return _xtc(candidates, stage.threshold, acts, recorded)
    if recorded is not None:
        if isinstance(stage, TypicalP):
            return _recorded_typical_p(candidates, recorded)
        return _recorded_cut(candidates, recorded)
    match stage:
        case TopK():
            return _top_k(candidates, stage.top_k, vocab_size)
        case TopP():
            return _top_p(candidates, stage.top_p)
        case MinP():
            return _cut_below_ratio(candidates, stage.ratio)
        case TopNSigma():
            return _top_n_sigma(candidates, stage.n, measured)
        case TypicalP():
            return _typical_p(candidates, stage.typical_p)


def _top_k(candidates: CandidateSet, k: int, vocab_size: int) -> CandidateSet:
    """Keep the `k` best, and all that equal the last of them."""
    if k >= vocab_size:
        return candidates
    remaining = candidates.scores > -np.inf
    certain = remaining & ~candidates.uncertain
    # How many come before each one: those that score higher, as equals stay together.
    higher = _count_higher(remaining, candidates) + np.where(
        _reaches_tail(candidates), 0, candidates.tail.count[:, None]
    )
    fewest = _count_higher(certain, candidates)
    possible = remaining & (fewest < k)
    certain_left = certain & (higher < k)
    # So many that certainly remain come before the whole tail.
    ahead = np.count_nonzero(certain & candidates.above_tail, axis=1)
    # All that equal the last one stay, however many they are.
    left = np.where(ahead >= k, 0.0, candidates.tail.count)
    nothing_removed = candidates.possible_count + candidates.tail.count <= k
    return candidates.after_cut(
        possible, ~certain_left, candidates.tail.after_cut(left, nothing_removed)
    )


def _count_higher(mask: Mask, candidates: CandidateSet) -> NDArray[np.int64]:
    """Count the candidates of `mask` that score higher than each one, int64 [n, 64]."""
    counts: NDArray[np.int64] = np.cumsum(mask, axis=1) - mask
    # Equals take the number of the first of them.
    first = np.ones_like(mask)
    first[:, 1:] = candidates.scores[:, 1:] != candidates.scores[:, :-1]
    starts = np.maximum.accumulate(np.where(first, np.arange(mask.shape[1]), 0), axis=1)
    found: NDArray[np.int64] = np.take_along_axis(counts, starts, axis=1)
    return found


def _reaches_tail(candidates: CandidateSet) -> Mask:
    """Return which listed candidates no token of the tail scores higher than, bool [n, 64]."""
    ceiling = np.where(candidates.fully_listed, -np.inf, candidates.tail.ceiling)[:, None]
    return candidates.scores >= ceiling.astype(np.float32)


def _top_p(candidates: CandidateSet, p: float) -> CandidateSet:
    """Keep the fewest best whose probabilities sum to `p`."""
    limit = float(np.float32(1.0 - p))
    low, high = (np.maximum(total, 1e-300)[:, None] for total in candidates.total_bounds)
    remaining = candidates.scores > -np.inf
    certain = np.where(candidates.above_tail, candidates.lower_weights, 0.0).sum(axis=1)
    # Tokens of the tail that may come before a candidate count as if all of them did, or none.
    tail_weight = np.where(
        candidates.above_tail, 0.0, candidates.tail.weight_bounds(candidates.top)[1][:, None]
    )
    most_before = np.cumsum(candidates.weights, axis=1) - candidates.weights + tail_weight
    least_before = np.cumsum(candidates.lower_weights, axis=1) - candidates.lower_weights
    # What would be left below each candidate if it went too; the best one of all remains.
    certain_left = (1.0 - most_before / low > limit + _TOLERANCE) & remaining
    certain_left[:, 0] |= candidates.above_tail[:, 0] & remaining[:, 0]
    possible = (1.0 - least_before / high > limit - _TOLERANCE) & remaining
    possible[:, 0] |= remaining[:, 0]
    removed = candidates.fully_listed | (1.0 - certain / high[:, 0] <= limit - _TOLERANCE)
    left = np.where(removed, 0.0, candidates.tail.count)
    fewest, most = np.count_nonzero(certain_left, axis=1), np.count_nonzero(possible, axis=1)
    # Of equals at the cut not all remain: where it is not known how many do, each may go.
    edge = candidates.scores.shape[1] - 1
    first_out = np.take_along_axis(candidates.scores, np.minimum(fewest, edge)[:, None], axis=1)
    last_in = np.take_along_axis(candidates.scores, np.maximum(most - 1, 0)[:, None], axis=1)
    open_tie = (candidates.uncertain & (candidates.scores == last_in)).any(axis=1)
    exact = ((fewest == most) & ~open_tie)[:, None]
    certain_left &= candidates.scores > first_out
    possible = (candidates.scores >= last_in) & remaining
    kept = np.where(exact, _select_best(candidates, most), possible)
    return candidates.after_cut(kept, ~exact & ~certain_left, candidates.tail.after_cut(left))


def _cut_below_ratio(candidates: CandidateSet, p: float) -> CandidateSet:
    """Keep those that have at least `p` times the probability of the best one."""
    remaining = candidates.scores > -np.inf
    # The best one of all may be a little better than the best one listed, or be removed.
    certain_top = (candidates.above_tail & ~candidates.uncertain)[:, :1]
    certain_left = remaining & (candidates.weights >= p * (1 + _TOLERANCE)) & certain_top
    certain_left[:, :1] |= remaining[:, :1] & certain_top
    possible = remaining & ((candidates.weights >= p * (1 - _TOLERANCE)) | ~certain_top)
    share = np.exp(np.minimum(candidates.tail.ceiling.astype(np.float64) - candidates.top, 700.0))
    removed = candidates.fully_listed | (certain_top[:, 0] & (share < p * (1 - _TOLERANCE)))
    left = np.where(removed, 0.0, candidates.tail.count)
    return candidates.after_cut(possible, ~certain_left, candidates.tail.after_cut(left))


def _top_n_sigma(candidates: CandidateSet, n: float, measured: Wide) -> CandidateSet:
    """Keep those within `n` standard deviations of the best one.

    The deviation is that of all scores: `measured`, or that of the listed ones where these are all.
    Otherwise it is not known, and the best one alone is certain to remain.
    """
    remaining = candidates.scores > -np.inf
    recorded = ~np.isnan(measured) & candidates.above_tail[:, 0]
    known = ((candidates.fully_listed | recorded) & candidates.certain)[:, None]
    scores = np.where(remaining, candidates.scores, np.nan).astype(np.float64)
    count = np.maximum(candidates.possible_count, 1)[:, None]
    mean = np.nansum(scores, axis=1, keepdims=True) / count
    deviation = np.sqrt(np.nansum((scores - mean) ** 2, axis=1, keepdims=True) / count)
    deviation = np.where(recorded[:, None], measured[:, None], deviation)
    least = candidates.top[:, None] - n * deviation
    kept = remaining & (candidates.scores >= least.astype(np.float32))
    doubtful = remaining & (np.abs(scores - least) < _TOLERANCE * (1 + np.abs(least)))
    best = candidates.above_tail & ~candidates.uncertain
    best[:, 1:] = False
    uncertain = np.where(known, doubtful, remaining) & ~best
    lowest = least - _TOLERANCE * (1 + np.abs(least))
    removed = candidates.fully_listed | (known & (candidates.tail.ceiling[:, None] < lowest))[:, 0]
    left = np.where(removed, 0.0, candidates.tail.count)
    return candidates.after_cut(
        np.where(known, kept | doubtful, remaining), uncertain, candidates.tail.after_cut(left)
    )


def _xtc(
    candidates: CandidateSet, threshold: float, acts: Mask, recorded: RecordedStage | None
) -> CandidateSet:
    """Remove all that reach `threshold` but the least likely of them, in the rows where it `acts`.

    How many go is counted from the shares, or where it is recorded from the best one behind it.
    """
    remaining = candidates.scores > -np.inf
    least, most = _count_reaching(candidates, threshold)
    fewest, greatest = np.maximum(least - 1, 0), np.maximum(most - 1, 0)
    if recorded is not None:
        is_best = (candidates.ids == recorded.best[:, None]) & remaining
        listed = is_best.any(axis=1)
        fewest = np.where(listed, np.argmax(is_best, axis=1), fewest)
        greatest = np.where(listed, fewest, greatest)
    places = np.arange(candidates.scores.shape[1])
    # Those that may go have to be the best of all for certain.
    ordered = np.all(candidates.above_tail | (places > greatest[:, None]), axis=1)
    known = (candidates.certain & ordered & (most < candidates.possible_count))[:, None]
    if recorded is not None:
        known = (candidates.certain & ordered & listed)[:, None]
    possible = np.where(known, places >= fewest[:, None], True) & remaining
    certain_left = known & (places >= greatest[:, None]) & remaining
    rows = acts[:, None]
    return candidates.after_cut(
        np.where(rows, possible, remaining),
        rows & ~certain_left & remaining,
        candidates.tail.after_cut(candidates.tail.count, ~acts | known[:, 0]),
    )


def _count_reaching(candidates: CandidateSet, threshold: float) -> tuple[Counts, Counts]:
    """Return how many listed candidates have a share of `threshold` at least and at most, [n]."""
    low, high = (np.maximum(total, 1e-300)[:, None] for total in candidates.total_bounds)
    remaining = candidates.scores > -np.inf
    least = remaining & (candidates.weights / high >= threshold * (1 + _TOLERANCE))
    most = remaining & (candidates.weights / low >= threshold * (1 - _TOLERANCE))
    return np.count_nonzero(least, axis=1), np.count_nonzero(most, axis=1)


def _typical_p(candidates: CandidateSet, mass: float) -> CandidateSet:
    """Keep those whose surprise is nearest to the entropy, until they have `mass`."""
    total = candidates.total[:, None]
    remaining = candidates.scores > -np.inf
    shares = np.where(remaining, candidates.weights / total, 0.0)
    surprise = np.log(total) - np.where(remaining, candidates.scores - candidates.top[:, None], 0.0)
    # The entropy leaves out the tail. Where there is one, the row is uncertain below.
    entropy = (shares * surprise).sum(axis=1, keepdims=True)
    far = np.where(remaining, np.abs(surprise - entropy), np.inf)
    nearest = np.sort(far, axis=1)
    order = np.argsort(far, axis=1, kind="stable")
    sums = np.cumsum(np.take_along_axis(shares, order, axis=1), axis=1)
    place = np.clip(
        np.count_nonzero(sums < mass, axis=1), 0, np.maximum(candidates.possible_count - 1, 0)
    )
    farthest = np.take_along_axis(nearest, place[:, None], axis=1)
    kept = remaining & (far <= farthest)
    # Sums and distances are float32's in the sampler.
    near = (np.abs(sums - mass) < _TOLERANCE).any(axis=1)
    near |= ((np.abs(far - farthest) < _TOLERANCE * (1 + entropy)) & (far != farthest)).any(axis=1)
    undecided = (near | ~candidates.fully_listed | ~candidates.certain)[:, None]
    nothing = np.where(candidates.fully_listed, 0.0, candidates.tail.count)
    return candidates.after_cut(
        np.where(undecided, remaining, kept),
        undecided & remaining,
        candidates.tail.after_cut(nothing),
    )


def _recorded_typical_p(candidates: CandidateSet, recorded: RecordedStage) -> CandidateSet:
    """Keep the `recorded.kept` neighbours in the list that have the recorded sum of weights."""
    size = candidates.scores.shape[1]
    keep = np.minimum(recorded.kept, size)[:, None]
    sums = np.concatenate([np.zeros((len(keep), 1)), np.cumsum(candidates.weights, axis=1)], axis=1)
    first = np.arange(size + 1)
    weight = np.take_along_axis(sums, np.minimum(first + keep, size), axis=1) - sums
    fits = np.abs(np.log(weight) - (recorded.logsumexp - candidates.top)[:, None]) < _TOLERANCE
    fits &= first + keep <= np.count_nonzero(candidates.above_tail, axis=1)[:, None]
    start = np.argmax(fits, axis=1)[:, None]
    # Several that weigh the same may be other tokens.
    one = (np.count_nonzero(fits, axis=1) == 1)[:, None] & candidates.certain[:, None]
    kept = (first[:-1] >= start) & (first[:-1] < start + keep)
    left = np.where(one[:, 0], 0.0, np.minimum(candidates.tail.count, recorded.kept))
    remaining = candidates.scores > -np.inf
    return candidates.after_cut(
        np.where(one, kept, remaining), ~one & remaining, candidates.tail.after_cut(left)
    )


def _recorded_cut(candidates: CandidateSet, recorded: RecordedStage) -> CandidateSet:
    """Keep the best `recorded.kept` of each row, the best of the tail among them."""
    above = np.count_nonzero(candidates.above_tail, axis=1)
    # Either so many of those that certainly are the best, or all of them and some of the tail.
    within = (recorded.kept <= above) | candidates.fully_listed
    keep = np.where(
        within, np.minimum(recorded.kept, candidates.possible_count), candidates.possible_count
    )
    left = np.where(within, 0.0, np.maximum(recorded.kept - above, 0))
    nothing_removed = recorded.kept >= candidates.possible_count + candidates.tail.count
    uncertain = (~within & ~nothing_removed)[:, None] & ~candidates.above_tail
    # Where a candidate may have been removed before, any may be now.
    keep = np.where(candidates.certain, keep, candidates.possible_count)
    left = np.where(candidates.certain, left, recorded.kept)
    uncertain |= ~candidates.certain[:, None]
    return candidates.after_cut(
        _select_best(candidates, keep),
        uncertain,
        candidates.tail.after_cut(left, nothing_removed & candidates.certain),
    )


def _select_best(candidates: CandidateSet, keep: NDArray[np.int64]) -> Mask:
    """Return the first `keep` of each row, of those that equal the last one the highest ids."""
    size = candidates.scores.shape[1]
    kept = np.arange(size) < keep[:, None]
    behind = np.take_along_axis(candidates.scores, np.minimum(keep, size - 1)[:, None], axis=1)[
        :, 0
    ]
    last = np.take_along_axis(candidates.scores, np.maximum(keep - 1, 0)[:, None], axis=1)[:, 0]
    tied = (behind == last) & (keep < size) & (keep > 0) & (last > -np.inf)
    for row in np.flatnonzero(tied):
        equal = np.flatnonzero(candidates.scores[row] == last[row])
        stay = int(keep[row]) - int(equal[0])
        kept[row, equal] = False
        kept[row, equal[len(equal) - stay :]] = True
    return kept
