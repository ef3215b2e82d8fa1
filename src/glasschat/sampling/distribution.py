"""The softmax of one row and its likeliest tokens, without ever sorting the whole row."""

import math

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.workspace import Row, Workspace, workspace_for

Ids = NDArray[np.intp]
Tail = tuple[float, ...]

TEMPERATURES = (2.0, 4 / 3, 1.0, 2 / 3, 1 / 2)
"""Those at which a record says what the tokens weigh that it does not list."""

_COLUMNS = 512
_LOWEST = np.finfo(np.float32).min
_LOG2_E = math.log2(math.e)


class Distribution:
    """What several readers of one row need, computed once and when first asked for.

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
        """`exp(scores - maximum)`, float32 [vocab]: the softmax before its division."""
        if self._exps is None:
            self._exps = np.exp(self.scores - np.float32(self.maximum))
        return self._exps

    def weights(self, ids: Ids) -> NDArray[np.float64]:
        """`exps` of `ids` alone, without computing the others."""
        exps: Row = np.exp(self.scores[ids] - np.float32(self.maximum))
        return exps.astype(np.float64)

    def rest(self, ids: Ids, temperature: float) -> float:
        """The sum of `exp((scores - maximum) / temperature)` over all tokens but `ids`."""
        work = self._share(temperature)
        work.flat_shares[ids] = 0.0
        return float(np.vecdot(work.shares, work.ones).sum())

    @property
    def whole(self) -> bool:
        """Whether no token is removed."""
        return not math.isnan(self._weighted())

    def _weighted(self) -> float:
        """The sum of `exps` times the shifted scores: NaN with removed tokens, 0 * -inf."""
        if self._mean is None:
            self._weigh()
        assert self._mean is not None
        return self._mean

    def _weigh(self) -> Workspace:
        """Total and mean, and the workspace that holds their shares."""
        work = self._share(1.0)
        self._total = float(np.vecdot(work.shares, work.ones).sum())
        self._mean = float(np.vecdot(work.shares, work.shifted).sum())
        return work

    def tail(self, ids: Ids, seen: NDArray[np.int64]) -> tuple[Tail, float]:
        """What all tokens but `ids` weigh, at each of `TEMPERATURES`; and those `seen` among them.

        Natural logarithms of the sums of `exp((scores - maximum) / temperature)`, -inf where
        nothing is left; for `seen`, in which ids beyond the row are passed over, at temperature 1.
        Good to some 1e-5. One look at the row serves `total` and `entropy` too.
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
        """This thread's workspace, holding this row's shifted scores and their shares."""
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
        """The sum of `exps`, between 1 and vocab."""
        if self._total is None:
            work = self._share(1.0)
            self._total = float(np.vecdot(work.shares, work.ones).sum())
        return self._total

    @property
    def logsumexp(self) -> float:
        """The logarithm of the softmax's denominator."""
        return self.maximum + math.log(self.total)

    @property
    def entropy(self) -> float:
        """Shannon entropy of the softmax in nats, at least 0."""
        # Shifted by the maximum, the likeliest token adds nothing: no digits cancel on a sure row.
        mean, total = self._weighted(), self.total
        if math.isnan(mean):
            below = self.scores[self.scores > -np.inf] - np.float32(self.maximum)
            mean = float((below * np.exp(below)).sum())
        return max(0.0, math.log(total) - mean / total)

    def lower_bound(self, k: int) -> np.float32:
        """A finite value that the k largest scores reach, if that many are finite; often tight.

        The k-th largest of the maxima of disjoint parts cannot exceed the k-th largest of all,
        so the bound holds for every row and needs no second try.
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
        """The k-th largest score, counted from 1; -inf when fewer are finite."""
        reached = self.scores[self.scores >= self.lower_bound(k)]
        if len(reached) < k:
            return np.float32(-np.inf)
        place = len(reached) - k
        return np.float32(np.partition(reached, place)[place])

    def candidates(self, k: int) -> Ids:
        """At least the k likeliest finite tokens, likeliest first and of equals the lower id.

        Fewer than k only if these are all. No token left out scores as high as the last one.
        """
        ids = (self.scores >= self.lower_bound(k)).nonzero()[0]
        return ids[(-self.scores[ids]).argsort(kind="stable")]


def _folded(row: Row, columns: int) -> tuple[Row, Row]:
    """The row as lines of `columns`, and what is left over; views both."""
    lines = len(row) // columns
    return row[: lines * columns].reshape(lines, columns), row[lines * columns :]


def _column_maxima(scores: Row, columns: int) -> Row:
    """Maxima of `columns` disjoint parts: the row folded into lines, then down each column."""
    lines, rest = _folded(scores, columns)
    if len(lines) < 2:
        return scores
    peaks: Row = lines.max(axis=0)
    if len(rest):
        np.maximum(peaks[: len(rest)], rest, out=peaks[: len(rest)])
    return peaks


def keep_only(scores: Row, ids: Ids) -> Row:
    """A new row that holds the scores at `ids` and -inf everywhere else."""
    kept = np.full(len(scores), -np.inf, np.float32)
    kept[ids] = scores[ids]
    return kept
