"""Logits warpers: temperature, top-k, top-p and min-p, which depend on the scores alone.

Each `apply_` function takes float32 [vocab] with at least one finite score, does not change it and
returns a row in which removed tokens are -inf; at least one token always stays. A `distribution` of
the very same row may be passed to save computing it again; it never changes the result.

Where transformers compares float32 sums against a bound, the same comparison is made here. Fast
paths decide only where no rounding error could change the result; a sum within `DOUBT` of a bound
takes the slow path.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import Distribution, Ids, keep_only
from glasschat.sampling.shortlist import Shortlist
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row

# Many times the rounding of a float32 sum over 2**18 tokens (about 1e-6), so that it covers both
# sides of a comparison; a step lands inside once in some thousand, and then costs a sort.
DOUBT = 1e-5
FIRST_LOOKS = (64, 1024)
# Below it a finite score may become an infinite one.
_COLDEST = 1e-20
_NO_IDS = np.empty(0, np.int64)


def apply_temperature(scores: Row, temperature: float) -> Row:
    """Divide all scores, float32 [vocab], by `temperature`, which is above 0.

    As transformers' TemperatureLogitsWarper.
    """
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return scores / np.float32(temperature)


def apply_top_k(scores: Row, top_k: int, distribution: Distribution | None = None) -> Row:
    """Keep the `top_k` likeliest tokens (at least 1) and all that equal the last of them.

    float32 [vocab] in and out. Fan et al. 2018, arXiv:1805.04833; as transformers'
    TopKLogitsWarper.
    """
    if top_k >= len(scores):
        return scores
    last = (distribution or Distribution(scores)).kth_largest(top_k)
    return keep_only(scores, np.flatnonzero(scores >= last))


def apply_top_p(scores: Row, top_p: float, distribution: Distribution | None = None) -> Row:
    """Keep the fewest likeliest tokens whose probabilities reach `top_p` in [0, 1].

    Also called nucleus sampling. float32 [vocab] in and out. The token that crosses the bound
    stays. Of equal scores at the cut the higher ids stay, which is what a stable ascending sort
    gives; the choice of transformers there depends on torch's sort, which is stable for short rows
    only. Holtzman et al. 2019, arXiv:1904.09751; otherwise as transformers' TopPLogitsWarper.
    """
    whole = distribution or Distribution(scores)
    limit = np.float32(1.0 - top_p)
    for look in FIRST_LOOKS:
        ids = whole.candidates(look)
        keep = _surely_kept(whole.weights(ids), whole.total, limit)
        if keep is None:
            break
        if keep < len(ids):
            return keep_only(scores, _cut(scores, ids, keep))
        if len(ids) < look:
            return scores
    return keep_only(scores, _top_p_sorted(scores, limit, whole))


def _surely_kept(weights: NDArray[np.float64], total: float, limit: np.float32) -> int | None:
    """Return how many of the likeliest tokens top-p keeps, len(weights) for that many or more.

    None when the sum lies so near the bound that rounding decides.
    """
    # What would be left below each candidate if it went too: transformers' ascending sum.
    tails = 1.0 - (np.cumsum(weights) - weights) / total
    keep, sure = (1 + int(np.count_nonzero(tails[1:] > limit + d)) for d in (-DOUBT, DOUBT))
    return keep if keep == sure else None


def _cut(scores: Row, ids: Ids, keep: int) -> Ids:
    """Return the first `keep` of `ids`, but of those that equal the last one the highest ids."""
    values = scores[ids[: keep + 1]]
    if len(values) == keep or values[keep] != values[keep - 1]:
        return ids[:keep]
    values = scores[ids]
    equal = np.flatnonzero(values == values[keep - 1])
    first, behind = int(equal[0]), int(equal[-1]) + 1
    return np.concatenate([ids[:first], ids[behind - (keep - first) : behind]])


def _top_p_sorted(scores: Row, limit: np.float32, whole: Distribution) -> Ids:
    """Return the token ids that top-p keeps, intp [n], by a full sort.

    The comparison is exactly that of transformers.
    """
    values = np.sort(scores)
    shares = np.exp(values - np.float32(whole.maximum)) / np.float32(whole.total)
    sums = np.cumsum(shares, dtype=np.float64).astype(np.float32)
    removed = min(int(np.count_nonzero(sums <= limit)), len(values) - 1)
    lowest = values[removed]
    equal = int(np.searchsorted(values, lowest, side="right")) - removed
    return np.concatenate(
        [np.flatnonzero(scores > lowest), np.flatnonzero(scores == lowest)[-equal:]]
    )


def apply_min_p(scores: Row, min_p: float, distribution: Distribution | None = None) -> Row:
    """Remove the tokens less probable than `min_p` in [0, 1] times the likeliest one.

    float32 [vocab] in and out. Nguyen et al. 2024, arXiv:2407.01082; as transformers'
    MinPLogitsWarper.
    """
    whole = distribution or Distribution(scores)
    shares = whole.exps / np.float32(whole.total)
    return keep_only(scores, np.flatnonzero(shares >= np.float32(min_p) * shares.max()))


class _Warper:
    """Base of the warpers of this module: they change no token by its id."""

    __slots__ = ()
    kind: ClassVar[StageKind] = "warper"

    def touched(self, context: StageContext) -> NDArray[np.int64]:
        """Return no token ids: a warper depends on scores alone."""
        return _NO_IDS


@dataclass(frozen=True, slots=True)
class Temperature(_Warper):
    """Divides the scores by a temperature, which sharpens or flattens the distribution."""

    name: ClassVar[str] = "temperature"
    temperature: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return all scores, float32 [vocab], divided by the temperature."""
        return apply_temperature(scores, self.temperature)

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return the shortlist with all scores divided by the temperature.

        None for a temperature so low that a finite score may become infinite.
        """
        return None if self.temperature < _COLDEST else shortlist.tempered(self.temperature)


@dataclass(frozen=True, slots=True)
class TopK(_Warper):
    """Keeps the k likeliest tokens and those that score as high as the last of them."""

    name: ClassVar[str] = "top_k"
    top_k: int

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the row, float32 [vocab], with -inf for all tokens that top-k removes."""
        return apply_top_k(scores, self.top_k, context.distribution(scores))

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return a shortlist of the tokens that top-k keeps.

        None when an unlisted token may be among them.
        """
        scores = shortlist.best.scores
        keep = self.top_k
        while keep < len(scores) and scores[keep] == scores[self.top_k - 1]:
            keep += 1
        return _keep_surely(shortlist, keep)


@dataclass(frozen=True, slots=True)
class TopP(_Warper):
    """Keeps the fewest tokens whose probabilities reach p."""

    name: ClassVar[str] = "top_p"
    top_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the row, float32 [vocab], with -inf for all tokens that top-p removes."""
        return apply_top_p(scores, self.top_p, context.distribution(scores))

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return a shortlist of the tokens that top-p keeps.

        None when the sum lies within `DOUBT` of the bound, when equal scores stand at the cut, or
        when an unlisted token may be kept.
        """
        scores = shortlist.best.scores
        total = shortlist.total(scores[0]) if scores else None
        if total is None:
            return None
        # As `_surely_kept`, but stopping where top-p does.
        limit = float(np.float32(1.0 - self.top_p))
        above = 0.0
        for keep, score in enumerate(scores):
            left = 1.0 - above / total
            if keep and left <= limit + DOUBT:
                if left > limit - DOUBT or score == scores[keep - 1]:
                    return None
                return shortlist.keep(keep)
            above += math.exp(score - scores[0])
        return None if shortlist.others else shortlist


@dataclass(frozen=True, slots=True)
class MinP(_Warper):
    """Removes tokens whose probability is far below that of the likeliest one."""

    name: ClassVar[str] = "min_p"
    ratio: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the row, float32 [vocab], with -inf for all tokens that min-p removes."""
        return apply_min_p(scores, self.ratio, context.distribution(scores))

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return a shortlist of the tokens that min-p keeps.

        None when a share lies within `DOUBT` of the bound, or when an unlisted token may be kept.
        """
        scores = shortlist.best.scores
        keep = 0
        for score in scores:
            # No total is needed: it divides both sides of the comparison.
            share = math.exp(score - scores[0])
            if share < self.ratio * (1 - DOUBT):
                break
            if share < self.ratio * (1 + DOUBT):
                return None
            keep += 1
        return _keep_surely(shortlist, keep)


def _keep_surely(shortlist: Shortlist, keep: int) -> Shortlist | None:
    """Return a shortlist of the `keep` best tokens.

    None when an unlisted token may be among them or equal the last of them.
    """
    if keep < len(shortlist.best.scores):
        return shortlist.keep(keep)
    return None if shortlist.others else shortlist
