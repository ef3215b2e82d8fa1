"""Run the stages over whole rows: this defines what each stage does, and is always possible."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import Distribution, Ids
from glasschat.sampling.draw import FEW, draw, probability_of
from glasschat.sampling.stages import MeasuringStage, Stage, StageContext
from glasschat.sampling.trace import STAGE_REMEDY, StageRecord, check_peak
from glasschat.sampling.workspace import Row

# A difference from the total keeps enough digits while this share of it is left.
_DIGITS_LEFT = 1e-2


class WholeRow(NamedTuple):
    """The final row, float32 [vocab], and with traces on the remaining ids and the stages' records.

    `candidates` are the ids with finite scores, ascending; None when they were not listed.
    """

    scores: Row
    candidates: Ids | None = None
    records: tuple[StageRecord, ...] = ()

    def draw(self, u: float) -> tuple[int, float]:
        """Return the token on which `u` in [0, 1) falls, and its probability."""
        return draw(self.scores, u, self.candidates)

    def likeliest(self, *, probability: bool) -> tuple[int, float]:
        """Return the likeliest token, of equals the lowest id, and its probability.

        The probability is computed only if `probability` is True; else it is NaN.
        """
        token_id = int(self.scores.argmax())
        return token_id, probability_of(self.scores, token_id) if probability else math.nan


def run_whole_row(
    stages: Sequence[Stage], scores: Row, context: StageContext, *, trace: bool
) -> WholeRow:
    """Run the stages over the raw row, float32 [vocab].

    Raises ReplyFailed, which names the stage, when a stage returns a NaN or an infinity or removes
    every token.
    """
    if trace:
        return _run_recorded(stages, scores, context)
    for stage in stages:
        scores = _run_stage(stage, scores, context)
    return WholeRow(scores)


def _run_recorded(stages: Sequence[Stage], scores: Row, context: StageContext) -> WholeRow:
    records: list[StageRecord] = []
    kept = int(np.count_nonzero(scores > -np.inf))
    candidates: Ids | None = None
    logsumexp = context.distribution(scores).logsumexp if stages else 0.0
    best = int(scores.argmax())
    for stage in stages:
        before, scores = scores, _run_stage(stage, scores, context)
        measured = stage.measure(before, context) if isinstance(stage, MeasuringStage) else None
        mass = 1.0
        if scores is not before:
            alive = scores > -np.inf
            left = int(np.count_nonzero(alive))
            candidates = np.flatnonzero(alive) if left <= FEW else None
            if left != kept:
                mass = _mass(context.distribution(before), alive, candidates, kept - left)
                kept = left
            logsumexp = context.distribution(scores).logsumexp
            best = int(scores.argmax())
        records.append(StageRecord(stage.name, kept, mass, logsumexp, best, measured))
    return WholeRow(scores, candidates, tuple(records))


def _run_stage(stage: Stage, scores: Row, context: StageContext) -> Row:
    after = stage(scores, context)
    if after is not scores:
        after.flags.writeable = False  # a later stage that writes to it fails at once
        check_peak(float(after.max()), f"the stage {stage.name}", STAGE_REMEDY)
    return after


def _mass(
    before: Distribution, alive: NDArray[np.bool_], candidates: Ids | None, gone: int
) -> float:
    """Return the share of the softmax of the stage's input that is left, in [0, 1].

    `alive`, bool [vocab], marks the tokens left; `gone` is the number that the stage removed.
    `candidates` are the ids left alive, if they are known.
    """
    if candidates is None and gone <= FEW:  # quicker to count than those that stay
        removed = np.flatnonzero(~alive & (before.scores > -np.inf))
        left = before.total - float(before.weights(removed).sum())
        if left > _DIGITS_LEFT * before.total:
            return left / before.total
    stayed = np.flatnonzero(alive) if candidates is None else candidates
    left = float(before.weights(stayed).sum())
    if left == 0.0:  # less than float32 holds: the likeliest went, and the rest is far below
        values = before.scores[stayed].astype(np.float64)
        left = float(np.exp(values - before.maximum).sum())
    return min(1.0, left / before.total)
