"""Typical-p, the cut that may take the likeliest token: it depends on all tokens at once."""

from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from glasschat.sampling.distribution import Distribution, keep_only
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.warpers import DOUBT, FIRST_LOOKS
from glasschat.sampling.workspace import Row


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
    """Keeps tokens of typical surprise."""

    name: ClassVar[str] = "typical_p"
    kind: ClassVar[StageKind] = "warper"
    typical_p: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_typical_p`."""
        return apply_typical_p(scores, self.typical_p, context.distribution(scores))
