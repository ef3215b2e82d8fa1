"""Typical-p: a cut that may remove the likeliest token, as it depends on all tokens at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import Distribution, keep_only
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.warpers import DOUBT, FIRST_LOOKS
from glasschat.sampling.workspace import Row


def apply_typical_p(scores: Row, mass: float, distribution: Distribution | None = None) -> Row:
    """Keep the tokens whose surprise is nearest the entropy until they hold `mass` in (0, 1).

    float32 [vocab] in and out; surprise, -log(probability), and entropy are in nats. The likeliest
    token may be removed, unlike with top-k, top-p and min-p. Meister et al. 2022, arXiv:2202.00666;
    as transformers' TypicalLogitsWarper.
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
    """Return the nearness of the token with which the nearest tokens reach `mass`."""
    for look in FIRST_LOOKS:
        ids = nearness.candidates(look)
        sums = np.cumsum(shares[ids], dtype=np.float64)
        place, sure = (int(np.count_nonzero(sums < mass + d)) for d in (-DOUBT, DOUBT))
        if place != sure:
            break
        if place < len(ids):
            return np.float32(nearness.scores[ids[place]])
    order = np.argsort(-nearness.scores, kind="stable")
    sums = np.cumsum(shares[order], dtype=np.float64).astype(np.float32)
    place = min(int(np.count_nonzero(sums < np.float32(mass))), len(order) - 1)
    return np.float32(nearness.scores[order[place]])


@dataclass(frozen=True, slots=True)
class TypicalP:
    """Keeps the tokens whose surprise is nearest the entropy."""

    name: ClassVar[str] = "typical_p"
    kind: ClassVar[StageKind] = "warper"
    typical_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the row, float32 [vocab], with -inf for all tokens that typical-p removes."""
        return apply_typical_p(scores, self.typical_p, context.distribution(scores))
