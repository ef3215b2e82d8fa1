"""Softmax statistics and likeliest tokens of one row of logits, without sorting the whole row."""

import math

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.workspace import Row, Workspace, workspace_for

Ids = NDArray[np.intp]
Tail = tuple[float, ...]

TEMPERATURES = (2.0, 4 / 3, 1.0, 2 / 3, 1 / 2)
"""Temperatures at which a record stores the weight of the tokens that it does not list."""

_COLUMNS = 512
_LOWEST = np.finfo(np.float32).min
_LOG2_E = math.log2(math.e)


class Distribution:
    """Softmax statistics of one row, each computed once, when it is first asked for.

    `scores` is float32 [vocab]; -inf marks a removed token. The row must not change while this
    object is in use. `maximum` is NaN when the row holds a NaN.
    """

    __slots__ = ("_exps", "_mean", "_peaks", "_total", "maximum", "scores")

    def __init__(self, scores: Row) -> None:
        self.scores = scores
        self._peaks = _column_maxima(scores, _COLUMNS)
        self.maximum = float(self._peaks.max())
        self._exps: Row | None = None
        self._total: float | None = None
        self._mean: float | None = None

    @property
    def exps(self) -> Row:
        """Return `exp(scores - maximum)`, float32 [vocab]: the softmax before its division."""
        if self._exps is None:
            self._exps = np.exp(self.scores - np.float32(self.maximum))
        return self._exps

    def weights(self, ids: Ids) -> NDArray[np.float64]:
        """Return `exps` at `ids`, float64 [len(ids)], without computing it for other tokens."""
        exps: Row = np.exp(self.scores[ids] - np.float32(self.maximum))
        return exps.astype(np.float64)

    def rest(self, ids: Ids, temperature: float) -> float:
        """Return the sum of `exp((scores - maximum) / temperature)` over all but `ids`."""
        work = self._share(temperature)
        work.flat_shares[ids] = 0.0
        return float(np.vecdot(work.shares, work.ones).sum())

    @property
    def whole(self) -> bool:
        """Return whether the row has no removed token: no score is -inf."""
        return not math.isnan(self._weighted())

    def _weighted(self) -> float:
        """Return the sum of `exps` times the shifted scores.

        NaN when the row has removed tokens, from 0 * -inf.
        """
        if self._mean is None:
            self._weigh()
        assert self._mean is not None
        return self._mean

    def _weigh(self) -> Workspace:
        """Compute total and mean, and return the workspace that holds their shares."""
        work = self._share(1.0)
        self._total = float(np.vecdot(work.shares, work.ones).sum())
        self._mean = float(np.vecdot(work.shares, work.shifted).sum())
        return work

    def tail(self, ids: Ids, seen: NDArray[np.int64]) -> tuple[Tail, float]:
        """Return the weight of all tokens but `ids` at each of `TEMPERATURES`, and that of `seen`.

        A weight is the natural logarithm of a sum of `exp((scores - maximum) / temperature)`, -inf
        where no token is left. The second weight counts only the tokens of `seen` (int64, token
        ids) that are not in `ids`, at temperature 1; ids beyond the row are skipped. The absolute
        error is about 1e-5. One pass over the row serves `total` and `entropy` too.
        """
        work = self._weigh()
        work.flat_shares[ids] = 0.0
        again = work.flat_shares[seen[seen < len(self.scores)]].sum()
        shares, ones, roots = work.shares, work.ones, work.roots
        half, one = np.vecdot(shares, shares).sum(), np.vecdot(shares, ones).sum()
        # A square root takes a fraction of the time of another power.
        np.sqrt(shares, out=roots)
        two = np.vecdot(roots, ones).sum()
        two_thirds = np.vecdot(shares, roots).sum()
        np.multiply(shares, roots, out=roots)
        np.sqrt(roots, out=roots)
        four_thirds = np.vecdot(roots, ones).sum()
        sums = np.array([two, four_thirds, one, two_thirds, half, again], np.float32)
        *tail, known = np.log(sums).tolist()
        return tuple(tail), known

    def _share(self, temperature: float) -> Workspace:
        """Return this thread's workspace with this row's shifted scores and their exponentials."""
        work = workspace_for(len(self.scores))
        if work.owner is not self:
            np.subtract(self.scores, np.float32(self.maximum), out=work.flat_shifted)
            work.owner = self
        # NumPy's exp2 takes two thirds of the time of its exp.
        np.multiply(work.shifted, np.float32(_LOG2_E / temperature), out=work.shares)
        np.exp2(work.shares, out=work.shares)
        return work

    @property
    def total(self) -> float:
        """Return the sum of `exps`, which lies between 1 and vocab."""
        if self._total is None:
            work = self._share(1.0)
            self._total = float(np.vecdot(work.shares, work.ones).sum())
        return self._total

    @property
    def logsumexp(self) -> float:
        """Return the natural logarithm of the softmax's denominator: log(sum(exp(scores)))."""
        return self.maximum + math.log(self.total)

    @property
    def entropy(self) -> float:
        """Return the Shannon entropy of the softmax in nats, at least 0."""
        # Shifted by the maximum, the likeliest token adds nothing: no digits cancel on a sure row.
        mean, total = self._weighted(), self.total
        if math.isnan(mean):
            below = self.scores[self.scores > -np.inf] - np.float32(self.maximum)
            mean = float((below * np.exp(below)).sum())
        return max(0.0, math.log(total) - mean / total)

    def lower_bound(self, k: int) -> np.float32:
        """Return a finite lower bound of the k largest scores, if k are finite; often tight.

        The k-th largest of the maxima of disjoint parts cannot exceed the k-th largest of all
        scores. So the bound holds for every row and needs no second try.
        """
        size = len(self.scores)
        if k >= size:
            return np.float32(_LOWEST)
        if 8 * k > size:
            peaks = self.scores
        elif 4 * k > len(self._peaks):
            peaks = _column_maxima(self.scores, 4 * k)
        else:
            peaks = self._peaks
        place = len(peaks) - k
        peaks = peaks.copy()
        peaks.partition(place)
        return max(peaks[place], np.float32(_LOWEST))

    def kth_largest(self, k: int) -> np.float32:
        """Return the k-th largest score, counted from 1; -inf when fewer than k are finite."""
        reached = self.scores[self.scores >= self.lower_bound(k)]
        if len(reached) < k:
            return np.float32(-np.inf)
        place = len(reached) - k
        return np.float32(np.partition(reached, place)[place])

    def candidates(self, k: int) -> Ids:
        """Return the ids of at least the k likeliest tokens with finite scores, likeliest first.

        intp [n]; of equal scores the lower id comes first. n is below k only if there are no more
        such tokens. No token left out scores as high as the last one.
        """
        ids = (self.scores >= self.lower_bound(k)).nonzero()[0]
        return ids[(-self.scores[ids]).argsort(kind="stable")]


def _folded(row: Row, columns: int) -> tuple[Row, Row]:
    """Return the row as lines of `columns` scores, and the scores left over; both are views."""
    lines = len(row) // columns
    return row[: lines * columns].reshape(lines, columns), row[lines * columns :]


def _column_maxima(scores: Row, columns: int) -> Row:
    """Return the maxima of `columns` disjoint parts of the row, float32 [columns].

    The row is folded into lines of `columns`, and the maximum is taken down each column. A row of
    fewer than two lines is returned as it is.
    """
    lines, rest = _folded(scores, columns)
    if len(lines) < 2:
        return scores
    peaks: Row = lines.max(axis=0)
    if len(rest):
        np.maximum(peaks[: len(rest)], rest, out=peaks[: len(rest)])
    return peaks


def keep_only(scores: Row, ids: Ids) -> Row:
    """Return a new row, float32 [vocab], with the scores at `ids` and -inf everywhere else."""
    kept = np.full(len(scores), -np.inf, np.float32)
    kept[ids] = scores[ids]
    return kept
