"""What processors make of the recorded candidates of many tokens, and at most of all others."""

from typing import NamedTuple

import numpy as np

from glasschat.glass.candidates import CandidateSet, Mask, Scores
from glasschat.glass.history import BatchedHistory, Counts, Pairs
from glasschat.glass.tail_bounds import TailBounds, Wide
from glasschat.glass.trace import Trace
from glasschat.sampling import (
    FrequencyPenalty,
    LogitBias,
    MinNewTokens,
    NoRepeatNGram,
    PresencePenalty,
    RepetitionPenalty,
    Stage,
)


class Change(NamedTuple):
    """A processor's work: other scores, and how many ids of each row it touched in all.

    `low` and `high` are what it makes at least and at most of a score of a touched token; `seen`
    says that it touches those only that stood in prompt or reply before.
    """

    scores: Scores
    touched: Mask
    number: Wide
    low: Scores
    high: Scores
    seen: bool


def changed(layer: CandidateSet, stage: Stage, past: BatchedHistory, trace: Trace) -> CandidateSet:
    """The layer behind a processor. Raises TypeError for one that did not come with glasschat."""
    change = _change(layer, stage, past, trace)
    listed = np.count_nonzero(change.touched & (layer.ids >= 0), axis=1)
    others = layer.others.touch(change.number - listed, change.low, change.high, seen=change.seen)
    return layer.with_scores(change.scores, layer.maybe, others)


def _change(layer: CandidateSet, stage: Stage, past: BatchedHistory, trace: Trace) -> Change:
    """What a processor does to the listed, and at most to a token that is not."""
    others = layer.others
    match stage:
        case RepetitionPenalty():
            seen = past.seen(layer.ids)
            scores = np.where(seen, _penalized(layer.scores, stage.penalty), layer.scores)
            low, high = (_penalized(s, stage.penalty) for s in (others.low, others.high))
            count = past.distinct
            return _bounded(others, scores, seen, count, low, high, seen_only=True)
        case PresencePenalty():
            seen = past.in_reply(layer.ids)
            scores = np.where(seen, layer.scores - np.float32(stage.penalty), layer.scores)
            by = np.full((past.count, 1), np.float32(stage.penalty))
            return _shifted(others, scores, seen, past.distinct_in_reply, by)
        case FrequencyPenalty():
            seen = past.in_reply(layer.ids)
            amounts = (past.counts(layer.ids) * stage.penalty).astype(np.float32)
            scores = np.where(seen, layer.scores - amounts, layer.scores)
            by = (past.most[:, None] * stage.penalty).astype(np.float32)
            return _shifted(others, scores, seen, past.distinct_in_reply, by)
        case LogitBias():
            return _biased(layer, stage, past)
        case NoRepeatNGram():
            return _banned(layer, past.completing(stage.size))
        case MinNewTokens():
            early = past.places[:, 0] < stage.length
            while_early = past.always(trace.end_ids | stage.stop_ids, early)
            if not stage.ignore_end:
                return _banned(layer, while_early)
            return _banned(layer, while_early, past.always(trace.end_ids, ~early))
        case _:
            raise TypeError(f"the stage {stage.name} is not one of glasschat's own")


def _penalized(scores: Scores, penalty: float) -> Scores:
    factor = np.float32(penalty)
    return np.where(scores < 0, scores * factor, scores / factor)


def _shifted(others: TailBounds, scores: Scores, seen: Mask, count: Counts, by: Scores) -> Change:
    """By what is at most subtracted from a touched token."""
    low, high = others.low - by, others.high - by
    return _bounded(others, scores, seen, count, low, high, seen_only=True)


def _bounded(
    others: TailBounds,
    scores: Scores,
    seen: Mask,
    count: Wide | Counts,
    low: Scores,
    high: Scores,
    *,
    seen_only: bool = False,
) -> Change:
    """Those that were touched before need not be those that are touched now."""
    low, high = np.minimum(others.low, low), np.maximum(others.high, high)
    return Change(scores, seen, count.astype(np.float64), low, high, seen_only)


def _biased(layer: CandidateSet, stage: LogitBias, past: BatchedHistory) -> Change:
    dense = np.zeros(past.vocab_size + 1, np.float32)
    named = np.zeros(past.vocab_size + 1, np.bool_)
    inside = {i: value for i, value in stage.bias.items() if i < past.vocab_size}
    dense[list(inside)] = list(inside.values())
    named[list(inside)] = True
    scores = np.where(named[layer.ids], layer.scores + dense[layer.ids], layer.scores)
    values = np.array([0.0, *inside.values()], np.float32)
    low, high = layer.others.low + values.min(), layer.others.high + values.max()
    count = np.full(past.count, float(len(inside)))
    return _bounded(layer.others, scores, named[layer.ids], count, low, high)


def _banned(layer: CandidateSet, *pairs: Pairs) -> Change:
    banned = np.zeros(layer.ids.shape, np.bool_)
    count = np.zeros(len(layer.ids))
    for some in pairs:
        banned |= some.among(layer.ids)
        count += some.counts
    scores = np.where(banned, np.float32(-np.inf), layer.scores)
    others = layer.others
    low = np.where(count[:, None] > 0, np.float32(-np.inf), others.low)
    return _bounded(others, scores, banned, count, low, others.high)
