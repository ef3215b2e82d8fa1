"""The softmax of one row and its likeliest tokens, without ever sorting the whole row."""

from functools import cached_property

import numpy as np
from numpy.typing import NDArray

Row = NDArray[np.float32]
Ids = NDArray[np.intp]

# Floats that are worked on at a time: two such parts lie in the second cache, and OpenBLAS takes
# them in one thread (it wakes others for dot products beyond 10,000).
_PART = 9984
_COLUMNS = 512
_LOWEST = np.finfo(np.float32).min


class Distribution:
    """What several readers of one row need, computed once and when first asked for.

    `scores` is float32 [vocab]; -inf marks a removed token. The row must not change while this
    object is in use. `maximum` is NaN when the row holds a NaN.
    """

    def __init__(self, scores: Row) -> None:
        self.scores = scores
        self._peaks = _column_maxima(scores, _COLUMNS)
        self.maximum = float(self._peaks.max())

    @cached_property
    def exps(self) -> Row:
        """`exp(scores - maximum)`, float32 [vocab]: the softmax before its division."""
        exps: Row = np.exp(self.scores - np.float32(self.maximum))
        return exps

    def weights(self, ids: Ids) -> NDArray[np.float64]:
        """`exps` of `ids` alone, without computing the others."""
        exps: Row = np.exp(self.scores[ids] - np.float32(self.maximum))
        return exps.astype(np.float64)

    @cached_property
    def _sums(self) -> tuple[float, float]:
        """The sum of `exps`, and that of `exps` times the shifted scores.

        Part by part: between two steps the weights of the model have pushed every row out of the
        processor's caches, and parts that fit there are quicker than rows that do not.
        """
        total = mean = 0.0
        peak = np.float32(self.maximum)
        work = np.empty((2, _PART), np.float32)
        with np.errstate(invalid="ignore"):
            for start in range(0, len(self.scores), _PART):
                part = self.scores[start : start + _PART]
                below, share = work[:, : len(part)]
                np.subtract(part, peak, out=below)
                np.exp(below, out=share)
                total += float(share.sum())
                weighted = float(np.vecdot(below, share))
                if np.isnan(weighted):  # 0 * -inf of removed tokens, whose share is 0
                    alive = share > 0
                    weighted = float((below[alive] * share[alive]).sum())
                mean += weighted
        return total, mean

    @property
    def total(self) -> float:
        """The sum of `exps`, between 1 and vocab."""
        return self._sums[0]

    @property
    def logsumexp(self) -> float:
        """The logarithm of the softmax's denominator."""
        return self.maximum + float(np.log(self.total))

    @property
    def entropy(self) -> float:
        """Shannon entropy of the softmax in nats, at least 0."""
        # Shifted by the maximum, the likeliest token adds nothing: no digits cancel on a sure row.
        total, mean = self._sums
        return max(0.0, float(np.log(total)) - mean / total)

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
        return max(np.partition(peaks, place)[place], np.float32(_LOWEST))

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
        ids = np.flatnonzero(self.scores >= self.lower_bound(k))
        return ids[np.argsort(-self.scores[ids], kind="stable")]


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
