"""Run the stages over a shortlist: the same choice and records as over the whole row, or None."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from glasschat.sampling.shortlist import LOG2_E, Shortlist
from glasschat.sampling.stages import ShortStage, StageContext
from glasschat.sampling.trace import STAGE_REMEDY, StageRecord, check_peak

# A difference from the total keeps enough digits while this share of it is left.
_DIGITS_LEFT = 1e-2


class ShortRow(NamedTuple):
    """The final shortlist, and with traces on one record for each stage."""

    shortlist: Shortlist
    records: tuple[StageRecord, ...]

    def draw(self, u: float) -> tuple[int, float] | None:
        """Return the token on which `u` in [0, 1) falls, and its probability.

        The same as `WholeRow.draw`, but None when `u` falls on an unlisted token, or may do so.
        """
        ids, scores = self.shortlist.best
        total = self.shortlist.total(scores[0]) if scores else None
        if total is None:
            return None
        target, below = u * total, 0.0
        for token_id, score in zip(ids, scores, strict=True):
            weight = math.exp(score - scores[0])
            below += weight
            if target < below:
                return token_id, weight / total
        return None

    def likeliest(self, *, probability: bool) -> tuple[int, float] | None:
        """Return the likeliest token and its probability, as `WholeRow.likeliest` does.

        None when it may be an unlisted token.
        """
        ids, scores = self.shortlist.best
        if not ids:
            return None
        if not probability:
            return ids[0], math.nan
        total = self.shortlist.total(scores[0])
        return None if total is None else (ids[0], 1.0 / total)


def run_short_row(
    stages: Sequence[ShortStage],
    shortlist: Shortlist,
    context: StageContext,
    raw_logsumexp: float | None,
) -> ShortRow | None:
    """Run the stages over the shortlist of a raw row without removed tokens.

    Records are written when `raw_logsumexp`, that of the raw row, is given. Returns None when a
    stage needs the whole row. Raises ReplyFailed as `run_whole_row` does.
    """
    records: list[StageRecord] = []
    trace, logsumexp = raw_logsumexp is not None, raw_logsumexp
    kept = shortlist.alive if trace else 0
    for stage in stages:
        before, after = shortlist, stage.narrow(shortlist, context)
        if after is None:
            return None
        shortlist, mass = after, 1.0
        if after is not before:
            if after.is_best:
                left = len(after.ids)
            else:
                peak = float(after.scores.max())
                if peak == -math.inf and after.others:
                    return None
                check_peak(peak, f"the stage {stage.name}", STAGE_REMEDY)
                left = after.alive if trace else kept
            if trace and left != kept:
                share = _mass(before, after)
                if share is None:
                    return None
                kept, mass = left, share
        if trace:
            if after is not before:
                logsumexp = after.logsumexp
            if logsumexp is None or not after.best.ids:
                return None
            records.append(StageRecord(stage.name, kept, mass, logsumexp, after.best.ids[0]))
    return ShortRow(shortlist, tuple(records))


def _mass(before: Shortlist, after: Shortlist) -> float | None:
    """Return the share of the softmax of `before` that is left in `after`, in (0, 1].

    None when it cannot be computed exactly enough.
    """
    if not before.best.scores:
        return None
    top = before.best.scores[0]
    total = before.total(top)
    if total is None:
        return None
    if after.is_best:  # a cut: what is left are the best of before
        left = math.fsum(math.exp(score - top) for score in before.best.scores[: after.alive])
    else:
        gone = before.scores[after.scores == -np.inf]
        left = total - float(np.exp2((gone - np.float32(top)) * LOG2_E).sum())
        if left < _DIGITS_LEFT * total:
            return None
    return min(1.0, left / total) if left else None
