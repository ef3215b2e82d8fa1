"""A stage of one's own over a record: run again, and held against what the sampler wrote down.

The listed candidates have their scores. Of the others it is known what they weigh together: once
they all share it alike, once as few of them as can be have it. Where that makes no difference to
the listed ones, and what comes out is what the sampler wrote down, it is certain; so it is where
there are no others, and where a cut left those of the listed that weigh what was written down.
"""

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.errors import GlasschatError
from glasschat.glass.candidates import CandidateSet
from glasschat.glass.cuts import RecordedStage
from glasschat.glass.trace import Trace
from glasschat.sampling import Stage, StageContext, TokenHistory
from glasschat.sampling.workspace import Row

# Many times what sums of float32 over a whole vocabulary differ by.
_DOUBT = 1e-5
# So far below the others' best that nothing is to be seen of it.
_DEEP = 40.0
_SEARCHES = 8


class _Run(NamedTuple):
    """A stage over the listed and some guess at the others.

    `listed` are the scores after it. Of the others `number` are left; none of them was moved by
    less than `least` (-inf where it removed any) or by more than `most`.
    """

    listed: Row
    number: int
    least: float
    most: float

    @property
    def left(self) -> int:
        """How many it left, listed and others."""
        return self.number + int(np.count_nonzero(self.listed > -np.inf))


class _Verdict(NamedTuple):
    """The listed scores after the stage, whether they are certain, and how high others score then.

    None for others that it did not touch.
    """

    listed: Row
    sure: bool
    ceiling: float | None


def rerun_custom_stage(
    layer: CandidateSet, stage: Stage, trace: Trace, told: RecordedStage | None
) -> CandidateSet:
    """The layer behind the stage; rows in which it is not certain what it did are guessed."""
    scores = layer.scores.copy()
    sure = np.zeros(len(scores), np.bool_)
    touched = np.ones(len(scores), np.bool_)
    ceiling = layer.others.ceiling.astype(np.float64)
    for at, context in enumerate(_contexts(trace)):
        place = _Place(layer, at, trace.vocab_size, stage, context)
        verdict = place.judged(None if told is None else told.at(at))
        if verdict is None:
            continue
        scores[at, layer.ids[at] >= 0], sure[at] = verdict.listed, verdict.sure
        touched[at] = verdict.ceiling is not None
        if verdict.sure and verdict.ceiling is not None:
            ceiling[at] = verdict.ceiling
    count = layer.others.count
    if told is not None:
        # Where it is not certain who of the listed is left, all of them may be others.
        alive = np.where(sure, np.count_nonzero(scores > -np.inf, axis=1), 0)
        count = np.maximum(told.kept - alive, 0.0)
    # A score of float64 may lie between two of float32.
    high = np.nextafter(ceiling.astype(np.float32), np.float32(np.inf))
    others = layer.others.clouded(touched & ~layer.alone, count, high)
    return replace(layer.with_scores(scores, layer.maybe, others), guessed=~sure)


def _contexts(trace: Trace) -> Iterator[StageContext]:
    """What the stage knew at each token."""
    history = TokenHistory(trace.prompt.ids[: trace.reply_start])
    for token_id in trace.prompt.ids[trace.reply_start :]:
        history.append(token_id)
    for token_id in trace.token_ids:
        yield StageContext(history, trace.end_ids)
        history.append(token_id)


class _Place:
    """One token of the reply."""

    def __init__(
        self, layer: CandidateSet, at: int, size: int, stage: Stage, context: StageContext
    ) -> None:
        known = layer.ids[at] >= 0
        self._ids: NDArray[np.int32] = layer.ids[at][known]
        self._scores: Row = layer.scores[at][known]
        self._size, self._unlisted = size, size - len(self._ids)
        self._stage, self._context = stage, context
        self._sure, self._alone = bool(layer.sure[at]), bool(layer.alone[at])
        self._others = float(layer.others.count[at])
        top, middle = float(layer.top[at]), float(layer.middle[at])
        rest = max(middle - float(layer.weights[at].sum()), middle * 1e-12)
        # Logarithms: of what all weigh, and of what the others do.
        self._all, self._rest = top + math.log(middle), top + math.log(rest)
        # None of them weighs more than all of them do.
        most = top + math.log(rest + _DOUBT * middle)
        self._ceiling = min(float(layer.others.ceiling[at]), most)

    def judged(self, told: RecordedStage | None) -> _Verdict | None:
        """What the stage makes of the candidates; None where it fails."""
        if self._alone:
            whole = self._run(np.full(self._size, -np.inf, np.float32))
            if whole is None:
                return None
            right = told is None or self._is_whole(whole, told)
            return _Verdict(whole.listed, self._sure and right, None)
        one, two = self._run(self._shared(1.0)), self._run(self._shared(0.0))
        if one is None or two is None:
            return None
        if told is None:
            return _Verdict(one.listed, False, self._ceiling)
        if not np.any(self._scores > -np.inf):
            # Of the others it is known what they weigh, and none weighs more than all of them.
            return _Verdict(one.listed, self._sure, float(told.after[0]) + _DOUBT)
        cut = self._cut_between(one, two, told)
        if cut is not None:
            return _Verdict(cut.listed, self._sure, -math.inf)
        return self._compared(one, two, told)

    def _shared(self, among: float) -> Row:
        """The others' scores, where so many of them share the weight: 1 for all, 0 for the fewest
        that can have it; the rest of them have next to nothing.
        """
        few = max(1.0, min(_exp(self._rest - self._ceiling), self._unlisted))
        number = max(1, math.floor(few ** (1.0 - among) * self._unlisted**among))
        each = self._ceiling if number <= few else self._rest - math.log(number)
        left = 1.0 - number * _exp(each - self._rest)
        low = self._ceiling - _DEEP
        if number < self._unlisted and left > 0:
            low = max(low, self._rest + math.log(left / (self._unlisted - number)))
        row = np.full(self._size, low, np.float32)
        first = np.setdiff1d(np.arange(min(number + len(self._ids), self._size)), self._ids)
        row[first[:number]] = each
        return row

    def _cut_between(self, one: _Run, two: _Run, told: RecordedStage) -> _Run | None:
        """A run that removed all others, and left of the listed just what was recorded.

        Whom a cut leaves may depend on how many share the others' weight, as an entropy does: that
        is looked for by how many are left.
        """
        for run in (one, two):
            if self._is_cut(run, told):
                return run
        kept, least, most = int(told.kept[0]), two.left, one.left
        low, high = 0.0, 1.0
        if not min(least, most) <= kept <= min(max(least, most), len(self._ids)):
            return None
        for _ in range(_SEARCHES):
            middle = (low + high) / 2
            between = self._run(self._shared(middle))
            if between is None or self._is_cut(between, told):
                return between
            if (between.left < kept) == (least < most):
                low = middle
            else:
                high = middle
        return None

    def _is_cut(self, run: _Run, told: RecordedStage) -> bool:
        still = np.where(run.listed > -np.inf, self._scores, np.float32(-np.inf))
        return not run.number and np.array_equal(still, run.listed) and self._is_whole(run, told)

    def _run(self, row: Row) -> _Run | None:
        """The stage with those scores for the others; None where it fails."""
        row[self._ids] = self._scores
        row.flags.writeable = False
        try:
            after = self._stage(row, self._context)
        except GlasschatError:
            return None
        if not math.isfinite(float(after.max())):
            return None
        moved = after - row
        moved[self._ids] = -np.inf
        number, most = int(np.count_nonzero(moved > -np.inf)), float(moved.max())
        moved[self._ids] = np.inf
        return _Run(after[self._ids], number, float(moved.min()), most)

    def _is_whole(self, run: _Run, told: RecordedStage) -> bool:
        """Whether it is what the sampler wrote down, where no others are left."""
        weight = float(np.exp(run.listed.astype(np.float64) - told.after[0]).sum())
        same = int(np.count_nonzero(run.listed > -np.inf)) == told.kept[0]
        return same and abs(weight - 1.0) < _DOUBT and self._is_best(run, told, -math.inf)

    def _compared(self, one: _Run, two: _Run, told: RecordedStage) -> _Verdict:
        """Held against what the sampler wrote down, with others that are not known one by one."""
        after = float(told.after[0])
        share = float(np.exp(one.listed.astype(np.float64) - after).sum())
        most = max(one.most, two.most)
        alike = _near(one.least, two.least) and _near(one.most, two.most)
        low, high = 0.0, self._unlisted * _exp(self._ceiling + most - after)
        if alike:
            low, high = (_exp(self._rest - after + move) for move in (one.least, one.most))
        slack = _DOUBT * (1.0 + _exp(self._all - after + max(most, 0.0)))
        free = int(told.kept[0]) - int(np.count_nonzero(one.listed > -np.inf))
        counted = one.number == two.number and self._others == self._unlisted
        ceiling = min(self._ceiling + most, after + math.log(max(1.0 - share, 0.0) + slack))
        sure = (
            self._sure
            # What it does to the listed ones depends on the others' weight at most, not on each.
            and np.array_equal(one.listed, two.listed)
            and low - slack <= 1.0 - share <= high + slack
            and (free == one.number if counted else 0 <= free <= self._others)
            and self._is_best(one, told, ceiling if free else -math.inf)
        )
        still = alike and free == self._others and one.least == one.most == 0.0
        return _Verdict(one.listed, sure, None if still else ceiling)

    def _is_best(self, run: _Run, told: RecordedStage, ceiling: float) -> bool:
        """Whether the best one can be the one that was; others score at most `ceiling`."""
        first = np.lexsort((self._ids, -run.listed))[0]
        if self._ids[first] == told.best[0]:
            return True
        return int(told.best[0]) not in self._ids and float(run.listed[first]) <= ceiling


def _exp(power: float) -> float:
    return math.exp(min(power, 700.0))


def _near(one: float, two: float) -> bool:
    return one == two or abs(one - two) < 1e-3
