"""A custom stage over a record: run again where its whole input is known, unknown elsewhere.

A custom stage is a function of the whole row of scores, and a record lists 64 of them. Where a cut
before it left listed candidates only, the row is known: every other token is removed. There the
stage runs again, and its result is exact. Where unlisted tokens were left no number behind it can
be stated, except those that the sampler recorded.
"""

import math
from collections.abc import Iterator

import numpy as np

from glasschat.errors import GlasschatError
from glasschat.glass.candidates import CandidateSet
from glasschat.glass.constraints import RecordedStage
from glasschat.glass.trace import Trace
from glasschat.sampling import Stage, StageContext, TokenHistory
from glasschat.sampling.workspace import Row

# Many times what sums of float32 over a whole vocabulary differ by.
_TOLERANCE = 1e-5


def rerun_custom_stage(
    candidates: CandidateSet, stage: Stage, trace: Trace, recorded: RecordedStage | None
) -> CandidateSet:
    """Return the candidates behind a custom stage.

    Rows become unknown where unlisted tokens were left before it, where the stage fails, and where
    its result is not the recorded one, as after a change of its code. `recorded` is None where the
    sampler did not run it with these settings.
    """
    scores = candidates.scores.copy()
    exact = candidates.fully_listed & candidates.certain
    for at, context in enumerate(_contexts(trace)):
        if not exact[at]:
            continue
        listed = candidates.ids[at] >= 0
        ids = candidates.ids[at, listed]
        row = np.full(trace.vocab_size, -np.inf, np.float32)
        row[ids] = candidates.scores[at, listed]
        after = _run(stage, row, context)
        if after is None or not (recorded is None or _agrees(after, recorded, at)):
            exact[at] = False
        else:
            scores[at, listed] = after[ids]
    after_stage = candidates.with_scores(scores, candidates.uncertain, candidates.tail)
    return after_stage.with_unknown_effect(~exact)


def _contexts(trace: Trace) -> Iterator[StageContext]:
    """Yield what the stage was given beside the scores at each token."""
    history = TokenHistory(trace.prompt.ids[: trace.reply_start])
    for token_id in trace.prompt.ids[trace.reply_start :]:
        history.append(token_id)
    for token_id in trace.token_ids:
        yield StageContext(history, trace.end_ids)
        history.append(token_id)


def _run(stage: Stage, row: Row, context: StageContext) -> Row | None:
    """Return the row (float32 [vocab]) behind the stage, or None if it fails or leaves no token."""
    row.flags.writeable = False
    try:
        after = stage(row, context)
    except GlasschatError:
        return None
    return after if math.isfinite(float(after.max())) else None


def _agrees(after: Row, recorded: RecordedStage, at: int) -> bool:
    """Return whether a row behind the stage is the one that was recorded at token `at`."""
    remaining = after[after > -np.inf].astype(np.float64)
    weight = float(np.exp(remaining - recorded.logsumexp[at]).sum())
    return (
        len(remaining) == recorded.kept[at]
        and abs(weight - 1.0) < _TOLERANCE
        and int(after.argmax()) == recorded.best[at]
    )
