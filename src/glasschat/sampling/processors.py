"""Logits processors: biases, penalties and bans, which depend on the ids so far.

Each function takes float32 [vocab], leaves it alone and returns a new row. Ids beyond the row are
passed over, as transformers does: a prompt may hold added tokens that the output layer lacks.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.distribution import Row
from glasschat.sampling.history import Ids
from glasschat.sampling.stages import StageContext, StageKind

_NO_IDS = np.empty(0, np.int64)


def apply_logit_bias(scores: Row, ids: Ids, biases: NDArray[np.float32]) -> Row:
    """Add `biases[i]` to the score of `ids[i]`; each id once.

    As transformers' SequenceBiasLogitsProcessor for sequences of one token.
    """
    biased = scores.copy()
    inside = ids < len(scores)
    biased[ids[inside]] += biases[inside]
    return biased


def apply_repetition_penalty(scores: Row, seen: Ids, penalty: float) -> Row:
    """Divide positive and multiply negative scores of `seen` (distinct ids) by `penalty`.

    Keskar et al. 2019 (CTRL); as transformers' RepetitionPenaltyLogitsProcessor.
    """
    penalized = scores.copy()
    factor = np.float32(penalty)
    try:
        touched = scores[seen]
    except IndexError:
        seen = seen[seen < len(scores)]
        touched = scores[seen]
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        penalized[seen] = np.where(touched < 0, touched * factor, touched / factor)
    return penalized


def apply_presence_penalty(scores: Row, output_seen: Ids, penalty: float) -> Row:
    """Subtract `penalty` once from each of `output_seen` (distinct ids of the reply).

    OpenAI's definition of presence_penalty.
    """
    penalized = scores.copy()
    penalized[output_seen[output_seen < len(scores)]] -= np.float32(penalty)
    return penalized


def apply_frequency_penalty(
    scores: Row, output_seen: Ids, output_counts: Ids, penalty: float
) -> Row:
    """Subtract `penalty` from each of `output_seen` as often as it occurs in the reply.

    OpenAI's definition of frequency_penalty.
    """
    penalized = scores.copy()
    inside = output_seen < len(scores)
    amounts = (output_counts[inside] * penalty).astype(np.float32)
    penalized[output_seen[inside]] -= amounts
    return penalized


def apply_no_repeat_ngram(scores: Row, ids: Ids, size: int) -> Row:
    """Ban every token that would repeat a run of `size` ids (at least 1) of `ids`.

    As transformers' NoRepeatNGramLogitsProcessor.
    """
    return _without(scores, _completing(ids, size))


def apply_min_length(scores: Row, end_ids: Iterable[int]) -> Row:
    """Ban `end_ids`.

    As transformers' MinNewTokensLengthLogitsProcessor before its length is reached.
    """
    return _without(scores, np.fromiter(end_ids, np.int64))


def _completing(ids: Ids, size: int) -> Ids:
    """The ids that followed, anywhere in `ids`, the run of size - 1 ids that now stands last."""
    if len(ids) < size:
        return _NO_IDS
    last = np.arange(size - 1, len(ids))
    for back in range(1, size):
        last = last[ids[last - back] == ids[-back]]
        if not last.size:
            break
    return ids[last]


def _without(scores: Row, ids: Ids) -> Row:
    left = scores.copy()
    left[ids[ids < len(scores)]] = -np.inf
    return left


@dataclass(frozen=True, slots=True)
class LogitBias:
    """Adds a number to the logits of chosen tokens; -inf forbids one."""

    name: ClassVar[str] = "logit_bias"
    kind: ClassVar[StageKind] = "processor"
    bias: Mapping[int, float]
    _ids: Ids = field(init=False, repr=False, compare=False)
    _values: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", np.array(list(self.bias), np.int64))
        object.__setattr__(self, "_values", np.array(list(self.bias.values()), np.float32))

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_logit_bias`."""
        return apply_logit_bias(scores, self._ids, self._values)


@dataclass(frozen=True, slots=True)
class RepetitionPenalty:
    """Weakens tokens seen in prompt or reply."""

    name: ClassVar[str] = "repetition_penalty"
    kind: ClassVar[StageKind] = "processor"
    penalty: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_repetition_penalty`."""
        return apply_repetition_penalty(scores, context.history.seen, self.penalty)


@dataclass(frozen=True, slots=True)
class PresencePenalty:
    """Weakens tokens seen in the reply, once."""

    name: ClassVar[str] = "presence_penalty"
    kind: ClassVar[StageKind] = "processor"
    penalty: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_presence_penalty`."""
        return apply_presence_penalty(scores, context.history.output_seen, self.penalty)


@dataclass(frozen=True, slots=True)
class FrequencyPenalty:
    """Weakens tokens seen in the reply, once per occurrence."""

    name: ClassVar[str] = "frequency_penalty"
    kind: ClassVar[StageKind] = "processor"
    penalty: float

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_frequency_penalty`."""
        history = context.history
        return apply_frequency_penalty(
            scores, history.output_seen, history.output_counts, self.penalty
        )


@dataclass(frozen=True, slots=True)
class NoRepeatNGram:
    """Never repeats a run of `size` ids of prompt or reply."""

    name: ClassVar[str] = "no_repeat_ngram_size"
    kind: ClassVar[StageKind] = "processor"
    size: int

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_no_repeat_ngram`."""
        return apply_no_repeat_ngram(scores, context.history.ids, self.size)


@dataclass(frozen=True, slots=True)
class MinNewTokens:
    """Keeps the reply from ending: end and stop tokens before `length`, or end tokens always.

    `ignore_end` is for the whole reply and concerns end tokens only: who names a stop token
    still wants to stop there.
    """

    name: ClassVar[str] = "min_new_tokens"
    kind: ClassVar[StageKind] = "processor"
    length: int
    ignore_end: bool = False
    stop_ids: frozenset[int] = frozenset()

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """See `apply_min_length`; the scores as they came once the reply may end."""
        if context.history.output_length < self.length:
            return apply_min_length(scores, context.end_ids | self.stop_ids)
        return apply_min_length(scores, context.end_ids) if self.ignore_end else scores
