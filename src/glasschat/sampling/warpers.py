"""Logits warpers: temperature and the cuts, which depend on the scores alone.

Each function takes float32 [vocab] with at least one finite score, leaves it alone and returns a
row in which removed tokens are -inf; at least one token always stays. A `distribution` of the
very same row may be handed in to save computing it again; it never changes the result.

Where transformers compares float32 sums against a bound, the same comparison is made here. Fast
paths decide only where no rounding could; what falls within `_DOUBT` of a bound goes the slow way.
"""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import Distribution, Ids, Row, keep_only
from glasschat.sampling.stages import StageContext, StageKind

# Many times the rounding of a float32 sum over 2**18 tokens (about 1e-6), so that it covers both
# sides of a comparison; a step lands inside once in some thousand, and then costs a sort.
_DOUBT = 1e-5
_FIRST_LOOKS = (64, 1024)


def apply_temperature(scores: Row, temperature: float) -> Row:
    """Divide all scores by `temperature`, above 0. As transformers' TemperatureLogitsWarper."""
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        return scores / np.float32(temperature)


def apply_top_k(scores: Row, top_k: int, distribution: Distribution | None = None) -> Row:
    """Keep the `top_k` likeliest tokens (at least 1) and all that equal the last of them.

    Fan et al. 2018; as transformers' TopKLogitsWarper.
    """
    if top_k >= len(scores):
        return scores
    last = (distribution or Distribution(scores)).kth_largest(top_k)
    return keep_only(scores, np.flatnonzero(scores >= last))


def apply_top_p(scores: Row, top_p: float, distribution: Distribution | None = None) -> Row:
    """Keep the fewest likeliest tokens whose probabilities reach `top_p` in [0, 1].

    The crossing token stays. Of equal scores at the cut the higher ids stay, which is what a
    stable ascending sort gives; transformers' own choice there depends on torch's sort, which is
    stable for short rows only. Holtzman et al. 2019; otherwise as TopPLogitsWarper.
    """
    whole = distribution or Distribution(scores)
    limit = np.float32(1.0 - top_p)
    for look in _FIRST_LOOKS:
        ids = whole.candidates(look)
        weights = whole.weights(ids)
        # What would be left below each candidate if it went too: transformers' ascending sum.
        tails = 1.0 - (np.cumsum(weights) - weights) / whole.total
        keep, sure = (1 + int(np.count_nonzero(tails[1:] > limit + d)) for d in (-_DOUBT, _DOUBT))
        if keep != sure:
            break
        if keep < len(ids):
            return keep_only(scores, _cut(scores, ids, keep))
        if len(ids) < look:
            return scores
    return keep_only(scores, _top_p_sorted(scores, limit, whole))


def _cut(scores: Row, ids: Ids, keep: int) -> Ids:
    """The first `keep` of `ids`, but of those that equal the last one the highest ids."""
    values = scores[ids[: keep + 1]]
    if len(values) == keep or values[keep] != values[keep - 1]:
        return ids[:keep]
    values = scores[ids]
    equal = np.flatnonzero(values == values[keep - 1])
    first, behind = int(equal[0]), int(equal[-1]) + 1
    return np.concatenate([ids[:first], ids[behind - (keep - first) : behind]])


def _top_p_sorted(scores: Row, limit: np.float32, whole: Distribution) -> Ids:
    """The tokens that top-p keeps, by a full sort and transformers' comparison to the letter."""
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
    """Drop tokens below `min_p` in [0, 1] times the likeliest one's probability.

    Nguyen et al. 2024; as transformers' MinPLogitsWarper.
    """
    whole = distribution or Distribution(scores)
    shares = whole.exps / np.float32(whole.total)
    return keep_only(scores, np.flatnonzero(shares >= np.float32(min_p) * shares.max()))


def apply_typical_p(scores: Row, mass: float, distribution: Distribution | None = None) -> Row:
    """Keep the tokens whose surprise is nearest the entropy until they hold `mass` in (0, 1).

    The likeliest token may go: it is the only cut of which that is true. Meister et al. 2022; as
    transformers' TypicalLogitsWarper.
    """
    whole = distribution or Distribution(scores)
    surprise = np.float32(np.log(whole.total)) - (scores - np.float32(whole.maximum))
    shares = np.exp(-surprise)
    nearness = -np.abs(surprise - np.float32(_entropy(surprise, shares)))
    least = _least_nearness(Distribution(nearness), shares, mass)
    return keep_only(scores, np.flatnonzero(nearness >= least))


def _entropy(surprise: Row, shares: Row) -> float:
    with np.errstate(invalid="ignore"):
        terms = surprise * shares
    return float(np.nansum(terms))


def _least_nearness(nearness: Distribution, shares: Row, mass: float) -> np.float32:
    """The nearness of the token with which the nearest ones reach `mass`."""
    for look in _FIRST_LOOKS:
        ids = nearness.candidates(look)
        sums = np.cumsum(shares[ids], dtype=np.float64)
        place, sure = (int(np.count_nonzero(sums < mass + d)) for d in (-_DOUBT, _DOUBT))
        if place != sure:
            break
        if place < len(ids):
            return np.float32(nearness.scores[ids[place]])
    order = np.argsort(-nearness.scores, kind="stable")
    sums = np.cumsum(shares[order], dtype=np.float64).astype(np.float32)
    place = min(int(np.count_nonzero(sums < np.float32(mass))), len(order) - 1)
    return np.float32(nearness.scores[order[place]])


@dataclass(frozen=True, slots=True)
class Temperature:
    """Sharpens or flattens the distribution."""

    name: ClassVar[str] = "temperature"
    kind: ClassVar[StageKind] = "warper"
    temperature: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_temperature`."""
        return apply_temperature(scores, self.temperature)


@dataclass(frozen=True, slots=True)
class TopK:
    """Keeps the k likeliest tokens."""

    name: ClassVar[str] = "top_k"
    kind: ClassVar[StageKind] = "warper"
    top_k: int

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_top_k`."""
        return apply_top_k(scores, self.top_k, context.distribution(scores))


@dataclass(frozen=True, slots=True)
class TopP:
    """Keeps the fewest tokens whose probabilities reach p."""

    name: ClassVar[str] = "top_p"
    kind: ClassVar[StageKind] = "warper"
    top_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_top_p`."""
        return apply_top_p(scores, self.top_p, context.distribution(scores))


@dataclass(frozen=True, slots=True)
class MinP:
    """Drops tokens far below the likeliest one."""

    name: ClassVar[str] = "min_p"
    kind: ClassVar[StageKind] = "warper"
    min_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_min_p`."""
        return apply_min_p(scores, self.min_p, context.distribution(scores))


@dataclass(frozen=True, slots=True)
class TypicalP:
    """Keeps tokens of typical surprise."""

    name: ClassVar[str] = "typical_p"
    kind: ClassVar[StageKind] = "warper"
    typical_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_typical_p`."""
        return apply_typical_p(scores, self.typical_p, context.distribution(scores))
