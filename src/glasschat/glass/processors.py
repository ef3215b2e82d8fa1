"""The processors over the recorded candidates of many tokens, with bounds for all other tokens."""

from typing import NamedTuple

import numpy as np

from glasschat.glass.candidates import CandidateSet, Mask, Scores
from glasschat.glass.history import BatchedHistory, Counts, IdsPerRow
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
from glasschat.sampling.dry import Dry


class ProcessorEffect(NamedTuple):
    """What a processor does to the rows of `n` tokens.

    `scores` (float32 [n, 64]) and `modified` (bool [n, 64]) are exact, of the listed candidates.
    `modified_count` (float64 [n]) is an upper bound for how many ids of the vocabulary it modified.
    `low` and `high` (float32 [n, 3]) bound the scores of modified tokens of the tail; `seen_only`
    says that it modifies only those that stood in prompt or reply before.
    """

    scores: Scores
    modified: Mask
    modified_count: Wide
    low: Scores
    high: Scores
    seen_only: bool


def apply_processor(
    candidates: CandidateSet, stage: Stage, history: BatchedHistory, trace: Trace
) -> CandidateSet:
    """Return the candidates behind a processor. Raises TypeError for one without bounds here."""
    if isinstance(stage, Dry) and stage.breaker_texts and stage.breakers is None:
        # Which ids the texts are is for the model's tokenizer to say, and not in the record.
        return candidates.with_unknown_effect()
    effect = _effect(candidates, stage, history, trace)
    listed = np.count_nonzero(effect.modified & (candidates.ids >= 0), axis=1)
    tail = candidates.tail.modify(
        effect.modified_count - listed, effect.low, effect.high, seen_only=effect.seen_only
    )
    return candidates.with_scores(effect.scores, candidates.uncertain, tail)


def _effect(
    candidates: CandidateSet, stage: Stage, history: BatchedHistory, trace: Trace
) -> ProcessorEffect:
    ids, scores, tail = candidates.ids, candidates.scores, candidates.tail
    match stage:
        case RepetitionPenalty():
            seen = history.seen(ids)
            after = np.where(seen, _penalize(scores, stage.penalty), scores)
            low, high = (_penalize(bound, stage.penalty) for bound in (tail.low, tail.high))
            count = history.distinct_seen
            return _with_tail_range(tail, after, seen, count, low, high, seen_only=True)
        case PresencePenalty():
            seen = history.in_reply(ids)
            after = np.where(seen, scores - np.float32(stage.penalty), scores)
            most = np.full((history.count, 1), np.float32(stage.penalty))
            return _subtract(tail, after, seen, history.distinct_in_reply, most)
        case FrequencyPenalty():
            seen = history.in_reply(ids)
            amounts = (history.counts(ids) * stage.penalty).astype(np.float32)
            after = np.where(seen, scores - amounts, scores)
            most = (history.highest_count[:, None] * stage.penalty).astype(np.float32)
            return _subtract(tail, after, seen, history.distinct_in_reply, most)
        case Dry():
            return _subtract_dry(candidates, stage, history, trace)
        case LogitBias():
            return _add_bias(candidates, stage, history)
        case NoRepeatNGram():
            return _ban(candidates, history.ngram_completions(stage.size))
        case MinNewTokens():
            early = history.places[:, 0] < stage.length
            while_early = history.same_ids(trace.end_ids | stage.stop_ids, early)
            if not stage.ignore_end:
                return _ban(candidates, while_early)
            return _ban(candidates, while_early, history.same_ids(trace.end_ids, ~early))
        case _:
            raise TypeError(f"the stage {stage.name} is not one of glasschat's own")


def _penalize(scores: Scores, penalty: float) -> Scores:
    factor = np.float32(penalty)
    return np.where(scores < 0, scores * factor, scores / factor)


def _subtract(
    tail: TailBounds, scores: Scores, modified: Mask, count: Counts, most: Scores
) -> ProcessorEffect:
    """Return the effect of subtracting `most` (float32 [n, 1]) from a modified token, or less."""
    low, high = tail.low - most, tail.high - most
    return _with_tail_range(tail, scores, modified, count, low, high, seen_only=True)


def _with_tail_range(
    tail: TailBounds,
    scores: Scores,
    modified: Mask,
    count: Wide | Counts,
    low: Scores,
    high: Scores,
    *,
    seen_only: bool = False,
) -> ProcessorEffect:
    """Return an effect whose bounds for the tail also hold for tokens that it does not modify.

    Tokens that an earlier stage modified need not be those that this one modifies.
    """
    low, high = np.minimum(tail.low, low), np.maximum(tail.high, high)
    return ProcessorEffect(scores, modified, count.astype(np.float64), low, high, seen_only)


def _add_bias(
    candidates: CandidateSet, stage: LogitBias, history: BatchedHistory
) -> ProcessorEffect:
    """Return the effect of adding each named token's bias to its score."""
    dense = np.zeros(history.vocab_size + 1, np.float32)
    named = np.zeros(history.vocab_size + 1, np.bool_)
    inside = {i: value for i, value in stage.bias.items() if i < history.vocab_size}
    dense[list(inside)] = list(inside.values())
    named[list(inside)] = True
    ids, scores, tail = candidates.ids, candidates.scores, candidates.tail
    after = np.where(named[ids], scores + dense[ids], scores)
    values = np.array([0.0, *inside.values()], np.float32)
    low, high = tail.low + values.min(), tail.high + values.max()
    count = np.full(history.count, float(len(inside)))
    return _with_tail_range(tail, after, named[ids], count, low, high)


def _ban(candidates: CandidateSet, *banned_ids: IdsPerRow) -> ProcessorEffect:
    """Return the effect of removing all of `banned_ids`."""
    banned = np.zeros(candidates.ids.shape, np.bool_)
    count = np.zeros(len(candidates.ids))
    for ids in banned_ids:
        banned |= ids.contains(candidates.ids)
        count += ids.counts
    scores = np.where(banned, np.float32(-np.inf), candidates.scores)
    tail = candidates.tail
    low = np.where(count[:, None] > 0, np.float32(-np.inf), tail.low)
    return _with_tail_range(tail, scores, banned, count, low, tail.high)


def _subtract_dry(
    candidates: CandidateSet, stage: Dry, history: BatchedHistory, trace: Trace
) -> ProcessorEffect:
    """Subtract what lengthening a repeat costs behind the ids before each token."""
    ids = np.array((*trace.prompt.ids, *trace.token_ids), np.int64)
    scores, modified = candidates.scores.copy(), np.zeros(candidates.ids.shape, np.bool_)
    count = np.zeros(history.count, np.int64)
    most = np.zeros((history.count, 1), np.float32)
    for row in range(history.count):
        penalties = stage.penalties(ids[: len(trace.prompt.ids) + row])
        count[row] = len(penalties)
        if not penalties:
            continue
        most[row] = max(penalties.values())
        amounts = np.array([penalties.get(i, 0.0) for i in candidates.ids[row].tolist()])
        modified[row] = amounts > 0
        scores[row] -= amounts.astype(np.float32)
    return _subtract(candidates.tail, scores, modified, count, most)
