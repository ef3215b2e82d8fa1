"""Shortlist: a few tokens that stand for the whole row, the likeliest and those that stages change.

Nearly every choice is decided among about a hundred tokens. Of the unlisted tokens only three
things matter: their number, the `bound` that none of them exceeds, and their total weight. So the
stages run on about a thousand numbers instead of a whole row. A stage that cannot decide from the
list says so, and the step is repeated on the whole row.

Between two steps the model's weights have pushed all other data out of the CPU caches: code that
runs for the first time in a step costs more than what it computes. So few kinds of array functions
are used here, and results of about ten numbers are computed without any.
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
    """The unlisted tokens of a row: their number, and how to compute their total weight.

    None of them scores above `bound`. No stage except temperature has changed them. `raw` is the
    raw row, `listed` (intp) the ids that are in the list, `temperature` the product of the
    temperatures so far.
    """

    raw: Distribution
    listed: Ids
    number: int
    bound: float
    temperature: float = 1.0

    def weight(self, top: float) -> float | None:
        """Return the sum of `exp(score - top)` over the unlisted tokens.

        None when it cannot be computed exactly enough: `top` lies too far from their maximum.
        """
        shift = self.raw.maximum / self.temperature - top
        if not abs(shift) < _FARTHEST:
            return None
        return self.raw.rest(self.listed, self.temperature) * math.exp(shift)


class Best(NamedTuple):
    """Ids and scores of the likeliest tokens of the whole row, likeliest first.

    Of equal scores the lower id comes first.
    """

    ids: list[int]
    scores: list[float]


class Shortlist:
    """A list of tokens with their scores, and the mass of the unlisted tokens, if there are any.

    `ids` are intp [n], each once; `scores` are float32 [n], -inf for a removed token. A shortlist
    is immutable: each stage returns a new one.
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
        """Store the list; `places` and `best` are passed where they are known already.

        `places` are the indices in `ids` of the ids that stages change. `cut` means that a cut came
        before: ids that stages change may be missing, and `ids` may be in any order.
        """
        self.ids = ids
        self.scores = scores
        self.others = others
        self.cut = cut
        self._places = places
        self._best = best
        self._total: float | None = None

    def places(self, ids: Ids) -> NDArray[np.intp] | slice:
        """Return the indices in the list of `ids`, intp [len(ids)] or a slice.

        All of `ids` are in the list as long as nothing was cut.
        """
        return np.searchsorted(self.ids, ids) if self._places is None else self._places

    def with_scores(self, scores: Row) -> "Shortlist":
        """Return the same list with other scores, float32 [n]."""
        return Shortlist(self.ids, scores, self.others, self._places, cut=self.cut)

    def tempered(self, temperature: float) -> "Shortlist":
        """Return the list with all scores, listed and unlisted, divided by `temperature`."""
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
        """Return a list of the `count` best tokens, without unlisted ones."""
        ids, scores = self.best.ids[:count], self.best.scores[:count]
        left, values = np.array(ids, np.intp), np.array(scores, np.float32)
        return Shortlist(left, values, None, best=Best(ids, scores), cut=True)

    @property
    def is_best(self) -> bool:
        """Return whether a cut made the list: the best tokens in order, none unlisted."""
        return self._best is not None and self.others is None

    @property
    def alive(self) -> int:
        """Return the number of tokens that are not removed, listed and unlisted."""
        listed = int(np.count_nonzero(self.scores > -np.inf))
        return listed + (self.others.number if self.others else 0)

    @property
    def best(self) -> Best:
        """Return all tokens above the bound of the unlisted ones.

        Those are all tokens that are left if there are no unlisted ones.
        """
        if self._best is None:
            bound = self.others.bound if self.others else -math.inf
            places = (self.scores > np.float32(bound)).nonzero()[0]
            pairs = zip((-self.scores[places]).tolist(), self.ids[places].tolist(), strict=True)
            ordered = sorted(pairs)
            self._best = Best([i for _, i in ordered], [-negative for negative, _ in ordered])
        return self._best

    def total(self, top: float) -> float | None:
        """Return the sum of `exp(score - top)` over all tokens left, where `top` is the best score.

        None when the weight of the unlisted tokens cannot be computed exactly enough.
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
        """Return log(sum(exp(score))) over all tokens left.

        None when it cannot be computed exactly enough, or when no best token is known.
        """
        if not self.best.scores:
            return None
        total = self.total(self.best.scores[0])
        return None if not total else self.best.scores[0] + math.log(total)


def make_shortlist(raw: Distribution, likeliest: Ids, touched: list[Ids]) -> Shortlist | None:
    """Return a list of the tokens `likeliest`, best first, and of the ids that stages will change.

    `likeliest` is intp [k]; each array of `touched` is int64 and not empty. None when one of them
    holds an id beyond the row.
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
