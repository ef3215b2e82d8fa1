"""Logits processors: bias, penalties and bans, which depend on the token ids so far.

Each `apply_` function takes float32 [vocab], does not change it and returns a new row. Ids beyond
the row are skipped, as in transformers: a prompt may hold added tokens that the output layer lacks.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from glasschat.sampling.history import Ids
from glasschat.sampling.shortlist import Shortlist
from glasschat.sampling.stages import StageContext, StageKind
from glasschat.sampling.workspace import Row

_NO_IDS = np.empty(0, np.int64)


def apply_logit_bias(scores: Row, ids: Ids, biases: NDArray[np.float32]) -> Row:
    """Add `biases[i]` to the score of the token `ids[i]`; the ids are distinct.

    `scores` is float32 [vocab], `ids` int64 [n], `biases` float32 [n]. As transformers'
    SequenceBiasLogitsProcessor for sequences of one token.
    """
    return _changed(scores, ids, lambda values: values + biases)


def apply_repetition_penalty(scores: Row, seen: Ids, penalty: float) -> Row:
    """Divide positive and multiply negative scores of `seen` (int64 [n], distinct) by `penalty`.

    `scores` is float32 [vocab]. Keskar et al. 2019 (CTRL), arXiv:1909.05858; as transformers'
    RepetitionPenaltyLogitsProcessor.
    """
    return _changed(scores, seen, lambda values: _penalized(values, penalty))


def apply_presence_penalty(scores: Row, output_seen: Ids, penalty: float) -> Row:
    """Subtract `penalty` once from the score of each token of the reply.

    `scores` is float32 [vocab], `output_seen` int64 [n] the distinct ids of the reply. OpenAI's
    definition of presence_penalty.
    """
    return _changed(scores, output_seen, lambda values: values - np.float32(penalty))


def apply_frequency_penalty(
    scores: Row, output_seen: Ids, output_counts: Ids, penalty: float
) -> Row:
    """Subtract `penalty` from each token's score as often as the token occurs in the reply.

    `scores` is float32 [vocab], `output_seen` int64 [n] the distinct ids of the reply,
    `output_counts` int64 [n] their counts. OpenAI's definition of frequency_penalty.
    """
    amounts = (output_counts * penalty).astype(np.float32)
    return _changed(scores, output_seen, lambda values: values - amounts)


def apply_no_repeat_ngram(scores: Row, ids: Ids, size: int) -> Row:
    """Ban every token that would repeat an n-gram of `ids`.

    `scores` is float32 [vocab], `ids` int64 [length] prompt and reply, `size` the length of an
    n-gram, at least 1. A banned token scores -inf. As transformers' NoRepeatNGramLogitsProcessor.
    """
    return _changed(scores, _completing(ids, size), _banned)


def apply_min_length(scores: Row, end_ids: Iterable[int]) -> Row:
    """Ban the tokens `end_ids`: set their scores to -inf.

    As transformers' MinNewTokensLengthLogitsProcessor before its length is reached.
    """
    return _changed(scores, np.fromiter(end_ids, np.int64), _banned)


def _changed(scores: Row, ids: Ids, change: Callable[[Row], Row]) -> Row:
    """Return a new row in which the scores at `ids` are those that `change` makes of them.

    Ids beyond the row are skipped.
    """
    after = scores.copy()
    inside = ids < len(scores)
    with np.errstate(over="ignore", divide="ignore", invalid="ignore"):
        if inside.all():
            after[ids] = change(scores[ids])
        else:
            values = np.zeros(len(ids), np.float32)
            values[inside] = scores[ids[inside]]
            after[ids[inside]] = change(values)[inside]
    return after


def _penalized(values: Row, penalty: float) -> Row:
    factor = np.float32(penalty)
    return np.where(values < 0, values * factor, values / factor)


def _banned(values: Row) -> Row:
    return np.full(len(values), -np.inf, np.float32)


def _completing(ids: Ids, size: int) -> Ids:
    """Return the ids that followed each earlier occurrence of the last size - 1 ids of `ids`."""
    if len(ids) < size:
        return _NO_IDS
    last = np.arange(size - 1, len(ids))
    for back in range(1, size):
        last = last[ids[last - back] == ids[-back]]
        if not last.size:
            break
    return ids[last]


class Processor:
    """Base of the logits processors: one formula for a whole row and for a shortlist.

    A subclass says which ids it changes (`touched`) and how (`_change`).
    """

    __slots__ = ()
    kind: ClassVar[StageKind] = "processor"

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids whose scores the processor changes, int64 [n]."""
        raise NotImplementedError

    def _change(self, values: Row, context: StageContext) -> Row:
        """Return the new scores of the ids of `touched` from the old ones, both float32 [n]."""
        raise NotImplementedError

    def __call__(self, scores: Row, context: StageContext) -> Row:
        """Return the row with the changed scores, float32 [vocab]; the input if no id is touched.

        The formula is that of the `apply_` function of the same name.
        """
        ids = context.touched_by(self)
        if not len(ids):
            return scores
        return _changed(scores, ids, lambda values: self._change(values, context))

    def narrow(self, shortlist: Shortlist, context: StageContext) -> Shortlist | None:
        """Return the shortlist with the changed scores.

        None after a cut, when touched ids may be missing from the list.
        """
        ids = context.touched_by(self)
        if not len(ids):
            return shortlist
        if shortlist.cut:
            return None
        places = shortlist.places(ids)
        scores = shortlist.scores.copy()
        scores[places] = self._change(scores[places], context)
        return shortlist.with_scores(scores)


@dataclass(frozen=True, slots=True)
class LogitBias(Processor):
    """Adds a number to the logits of chosen tokens; -inf forbids a token."""

    name: ClassVar[str] = "logit_bias"
    bias: Mapping[int, float]
    _ids: Ids = field(init=False, repr=False, compare=False)
    _values: NDArray[np.float32] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_ids", np.array(list(self.bias), np.int64))
        object.__setattr__(self, "_values", np.array(list(self.bias.values()), np.float32))

    def touched(self, context: StageContext) -> Ids:
        """Return the token ids that have a bias, int64 [n]."""
        return self._ids

    def _change(self, values: Row, context: StageContext) -> Row:
        return values + self._values


@dataclass(frozen=True, slots=True)
class RepetitionPenalty(Processor):
    """Lowers the scores of tokens that prompt or reply contain."""

    name: ClassVar[str] = "repetition_penalty"
    penalty: float

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids of prompt and reply, int64 [n]."""
        return context.history.seen

    def _change(self, values: Row, context: StageContext) -> Row:
        return _penalized(values, self.penalty)


@dataclass(frozen=True, slots=True)
class PresencePenalty(Processor):
    """Lowers the scores of tokens that the reply contains, once each."""

    name: ClassVar[str] = "presence_penalty"
    penalty: float

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids of the reply, int64 [n]."""
        return context.history.output_seen

    def _change(self, values: Row, context: StageContext) -> Row:
        return values - np.float32(self.penalty)


@dataclass(frozen=True, slots=True)
class FrequencyPenalty(Processor):
    """Lowers the scores of tokens that the reply contains, once per occurrence."""

    name: ClassVar[str] = "frequency_penalty"
    penalty: float

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids of the reply, int64 [n]."""
        return context.history.output_seen

    def _change(self, values: Row, context: StageContext) -> Row:
        return values - (context.history.output_counts * self.penalty).astype(np.float32)


@dataclass(frozen=True, slots=True)
class NoRepeatNGram(Processor):
    """Bans tokens that would repeat an n-gram of `size` ids of prompt or reply."""

    name: ClassVar[str] = "no_repeat_ngram_size"
    size: int

    def touched(self, context: StageContext) -> Ids:
        """Return the distinct token ids that would repeat an n-gram, int64 [n]."""
        return np.unique(_completing(context.history.ids, self.size))

    def _change(self, values: Row, context: StageContext) -> Row:
        return _banned(values)


@dataclass(frozen=True, slots=True)
class MinNewTokens(Processor):
    """Bans end and stop tokens before the reply has `length` tokens, or end tokens always.

    `ignore_end` bans end tokens for the whole reply. It does not concern stop tokens: a request
    that names a stop token still wants to stop there.
    """

    name: ClassVar[str] = "min_new_tokens"
    length: int
    ignore_end: bool = False
    stop_ids: frozenset[int] = frozenset()

    def touched(self, context: StageContext) -> Ids:
        """Return the token ids that are banned now, int64 [n]; none once the reply may end."""
        if context.history.output_length < self.length:
            return np.fromiter(context.end_ids | self.stop_ids, np.int64)
        return np.fromiter(context.end_ids if self.ignore_end else (), np.int64)

    def _change(self, values: Row, context: StageContext) -> Row:
        return _banned(values)
