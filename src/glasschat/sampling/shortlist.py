"""A short list of tokens that stands for the whole row: the likeliest, and those a stage touches.

Nearly every choice is settled among a hundred tokens. Of the others it matters how many they are,
that none scores higher than `bound`, and what they weigh together; so the stages run on a thousand
numbers instead of a whole row, and say so when that does not decide, which leaves it to the row.

Between two steps the model's weights have pushed all else out of the processor's caches: code that
runs for the first time in a step costs more than what it computes. So few kinds of array functions
are used here, and what comes down to some ten numbers is done without any.
"""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import Distribution, Ids
from glasschat.sampling.workspace import Row, workspace_for

# exp of it lies well inside float32, so that what the others weigh keeps its digits.
_FARTHEST = 30.0
LOG2_E = np.float32(math.log2(math.e))


class TailMass(NamedTuple):
    """The tokens that are not listed: how many, and what they weigh.

    None of them scores above `bound`. They were touched by no stage but temperature.
    """

    raw: Distribution
    listed: Ids
    number: int
    bound: float
    temperature: float = 1.0

    def weight(self, top: float) -> float | None:
        """The sum of their `exp(score - top)`; None when it cannot be told exactly enough."""
        shift = self.raw.maximum / self.temperature - top
        if not abs(shift) < _FARTHEST:
            return None
        return self.raw.rest(self.listed, self.temperature) * math.exp(shift)


class Best(NamedTuple):
    """The likeliest tokens of the whole row: likeliest first, of equals the lower id."""

    ids: list[int]
    scores: list[float]


class Shortlist:
    """Some tokens with their scores, and what there is to know of the others, if any are left.

    `ids` (intp [n], each once) and `scores` (float32 [n], -inf for a removed token). A shortlist
    is not changed: each stage makes the next one.
    """

    __slots__ = ("_best", "_places", "_total", "cut", "ids", "others", "scores")

    def __init__(
        self,
        ids: Ids,
        scores: Row,
        others: TailMass | None,
        places: slice | None = None,
        best: Best | None = None,
        *,
        cut: bool = False,
    ) -> None:
        """`places` are those of the touched ids, if they are known; `best` likewise.

        `cut` tells that a cut came before: touched ids may be gone, and `ids` in any order.
        """
        self.ids = ids
        self.scores = scores
        self.others = others
        self.cut = cut
        self._places = places
        self._best = best
        self._total: float | None = None

    def places(self, ids: Ids) -> NDArray[np.intp] | slice:
        """Where in the list `ids` stand; all of them are, while nothing was cut."""
        return np.searchsorted(self.ids, ids) if self._places is None else self._places

    def with_scores(self, scores: Row) -> "Shortlist":
        """The same list with other scores."""
        return Shortlist(self.ids, scores, self.others, self._places, cut=self.cut)

    def tempered(self, temperature: float) -> "Shortlist":
        """Listed and others alike divided by `temperature`."""
        divisor = np.float32(temperature)
        others = self.others
        if others is not None:
            others = others._replace(
                bound=float(np.float32(others.bound) / divisor),
                temperature=others.temperature * temperature,
            )
        scores = self.scores / divisor
        return Shortlist(self.ids, scores, others, self._places, cut=self.cut)

    def keep(self, count: int) -> "Shortlist":
        """The best `count` alone."""
        ids, scores = self.best.ids[:count], self.best.scores[:count]
        left, values = np.array(ids, np.intp), np.array(scores, np.float32)
        return Shortlist(left, values, None, best=Best(ids, scores), cut=True)

    @property
    def is_best(self) -> bool:
        """Whether this is what a cut left: the best tokens, in their order, and no others."""
        return self._best is not None and self.others is None

    @property
    def alive(self) -> int:
        """How many tokens are left in all."""
        listed = int(np.count_nonzero(self.scores > -np.inf))
        return listed + (self.others.number if self.others else 0)

    @property
    def best(self) -> Best:
        """All tokens above the others' bound; all that are left if there are no others."""
        if self._best is None:
            bound = self.others.bound if self.others else -math.inf
            places = (self.scores > np.float32(bound)).nonzero()[0]
            pairs = zip((-self.scores[places]).tolist(), self.ids[places].tolist(), strict=True)
            ordered = sorted(pairs)
            self._best = Best([i for _, i in ordered], [-negative for negative, _ in ordered])
        return self._best

    def total(self, top: float) -> float | None:
        """The sum of `exp(score - top)` over all tokens left, where `top` is the best score.

        None when the others' share cannot be told exactly enough.
        """
        if self._total is None:
            if self._best is not None and self.others is None:
                return math.fsum(math.exp(score - top) for score in self._best.scores)
            listed = float(np.exp2((self.scores - np.float32(top)) * LOG2_E).sum())
            others = self.others.weight(top) if self.others else 0.0
            if others is None:
                return None
            self._total = listed + others
        return self._total

    @property
    def logsumexp(self) -> float | None:
        """Of the scores of all tokens left; None when it cannot be told exactly enough."""
        if not self.best.scores:
            return None
        total = self.total(self.best.scores[0])
        return None if not total else self.best.scores[0] + math.log(total)


def make_shortlist(raw: Distribution, likeliest: Ids, touched: list[Ids]) -> Shortlist | None:
    """The tokens `likeliest`, best first, and those that stages will touch.

    None for an id beyond the row.
    """
    size = len(raw.scores)
    if any(int(ids.max()) >= size for ids in touched):
        return None
    places = None
    if not touched:
        ids = likeliest
    elif len(touched) > 1:
        ids = np.unique(np.concatenate([*touched, likeliest])).astype(np.intp)
    else:
        marks = workspace_for(size).marks
        marks[touched[0]] = True
        more = likeliest[~marks[likeliest]]
        marks[touched[0]] = False
        ids = np.concatenate([touched[0], more])
        places = slice(len(touched[0]))
    others = None
    if len(ids) < size:
        bound = float(raw.scores[likeliest[-1]])
        others = TailMass(raw, ids, size - len(ids), bound)
    return Shortlist(ids, raw.scores[ids], others, places)
