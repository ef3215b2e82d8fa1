"""What stood before each token of a reply, as processors ask it: for all tokens at once."""

from collections.abc import Iterable
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from glasschat.glass.trace import Trace

Mask = NDArray[np.bool_]
Counts = NDArray[np.int64]

_NEVER = np.iinfo(np.int64).max


class BatchedHistory:
    """The ids before each of the `n` tokens of a run.

    What is asked takes `ids` (int32 [n, k], -1 for none) and answers for each of them whether it,
    or how often it, stood before the token of its row. Ids beyond the model's row are passed over,
    as processors do.
    """

    def __init__(self, trace: Trace) -> None:
        self.vocab_size = trace.vocab_size
        self.start = trace.earlier
        self.count = len(trace)
        self._prompt = np.array(trace.prompt.ids[: trace.reply_start], np.int64)
        reply = (*trace.prompt.ids[trace.reply_start :], *trace.token_ids)
        # Of the last token nothing is asked: it stands before no other.
        self._reply = np.array(reply, np.int64)
        self.places: Counts = np.arange(self.start, self.start + self.count)[:, None]

    @cached_property
    def _first(self) -> Counts:
        """By id: where in the reply it stood first."""
        first = np.full(self.vocab_size + 1, _NEVER)
        inside = np.flatnonzero(self._reply < self.vocab_size)
        first[self._reply[inside][::-1]] = inside[::-1]
        return first

    @cached_property
    def _in_prompt(self) -> Mask:
        found = np.zeros(self.vocab_size + 1, np.bool_)
        found[self._prompt[self._prompt < self.vocab_size]] = True
        return found

    def in_reply(self, ids: NDArray[np.int32]) -> Mask:
        """Whether it stood in the reply."""
        return self._first[ids] < self.places

    def seen(self, ids: NDArray[np.int32]) -> Mask:
        """Whether it stood in prompt or reply."""
        return self._in_prompt[ids] | self.in_reply(ids)

    @cached_property
    def distinct_in_reply(self) -> Counts:
        """How many ids stood in the reply before each token, [n]."""
        return self._distinct(np.flatnonzero(self._first < _NEVER))

    @cached_property
    def distinct(self) -> Counts:
        """How many ids stood in prompt or reply before each token, [n]."""
        new = np.flatnonzero((self._first < _NEVER) & ~self._in_prompt)
        return self._distinct(new) + np.count_nonzero(self._in_prompt)

    def _distinct(self, ids: NDArray[np.intp]) -> Counts:
        return np.searchsorted(np.sort(self._first[ids]), self.places[:, 0])

    def counts(self, ids: NDArray[np.int32]) -> Counts:
        """How often it stood in the reply."""
        size = len(self._reply) + 1
        keys = np.sort(self._reply * size + np.arange(len(self._reply)))
        wide = np.maximum(ids, 0).astype(np.int64) * size
        found = np.searchsorted(keys, wide + self.places) - np.searchsorted(keys, wide)
        return np.where(ids < 0, 0, found)

    @cached_property
    def most(self) -> Counts:
        """How often the most frequent id stood in the reply before each token, [n]."""
        so_far: dict[int, int] = {}
        most = [0]
        for token_id in self._reply.tolist():
            so_far[token_id] = so_far.get(token_id, 0) + 1
            most.append(max(most[-1], so_far[token_id]))
        return np.array(most[self.start : self.start + self.count], np.int64)

    def completing(self, size: int) -> "Pairs":
        """The ids that would repeat a run of `size` ids, for each token."""
        ids = [*self._prompt.tolist(), *self._reply.tolist()]
        first = len(self._prompt) + self.start
        followed: dict[tuple[int, ...], set[int]] = {}
        rows: list[int] = []
        found: list[int] = []
        for at in range(len(ids)):
            row = at - first
            if row >= 0 and at >= size - 1:
                banned = followed.get(tuple(ids[at - size + 1 : at]), set())
                rows += [row] * len(banned)
                found += banned
            if at >= size - 1:
                followed.setdefault(tuple(ids[at - size + 1 : at]), set()).add(ids[at])
        return Pairs(self, rows, found)

    def always(self, banned: Iterable[int], rows: Mask) -> "Pairs":
        """The same ids for each of those rows."""
        ids = sorted(banned)
        at = np.flatnonzero(rows)
        return Pairs(self, np.repeat(at, len(ids)).tolist(), ids * len(at))


class Pairs:
    """Some ids for each token, others for each."""

    def __init__(self, past: BatchedHistory, rows: list[int], ids: list[int]) -> None:
        self._size = past.vocab_size + 1
        inside = [(row, i) for row, i in zip(rows, ids, strict=True) if i < past.vocab_size]
        pairs = np.array(inside, np.int64).reshape(-1, 2)
        self._keys = np.sort(pairs[:, 0] * self._size + pairs[:, 1])
        self.counts: Counts = np.bincount(pairs[:, 0], minlength=past.count)

    def among(self, ids: NDArray[np.int32]) -> Mask:
        """Whether each of `ids` (int32 [n, k]) is among those of its row."""
        keys = np.arange(len(ids))[:, None] * self._size + ids
        keys[ids < 0] = -1
        if not len(self._keys):
            return np.zeros(ids.shape, np.bool_)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: Mask = self._keys[at] == keys
        return found
