"""The token history before each token of a reply, as processors ask for it, for all at once."""

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

    Methods take `ids` (int32 [n, k], -1 for none): row i is asked about the history before token i.
    Ids beyond the model's row of logits are ignored, as processors do.
    """

    def __init__(self, trace: Trace) -> None:
        self.vocab_size = trace.vocab_size
        self.start = trace.earlier
        self.count = len(trace)
        self._prompt = np.array(trace.prompt.ids[: trace.reply_start], np.int64)
        reply = (*trace.prompt.ids[trace.reply_start :], *trace.token_ids)
        # The last token is in no history: it stands before no other.
        self._reply = np.array(reply, np.int64)
        self.places: Counts = np.arange(self.start, self.start + self.count)[:, None]
        """The place of each token in the whole reply, int64 [n, 1]."""

    @cached_property
    def _first(self) -> Counts:
        """The first place of each id in the reply, int64 [vocab + 1]."""
        first = np.full(self.vocab_size + 1, _NEVER)
        inside = np.flatnonzero(self._reply < self.vocab_size)
        first[self._reply[inside][::-1]] = inside[::-1]
        return first

    @cached_property
    def _in_prompt(self) -> Mask:
        """Whether each id stands in the prompt, bool [vocab + 1]."""
        found = np.zeros(self.vocab_size + 1, np.bool_)
        found[self._prompt[self._prompt < self.vocab_size]] = True
        return found

    def in_reply(self, ids: NDArray[np.int32]) -> Mask:
        """Return whether each id stood in the reply before, bool [n, k]."""
        return self._first[ids] < self.places

    def seen(self, ids: NDArray[np.int32]) -> Mask:
        """Return whether each id stood in prompt or reply before, bool [n, k]."""
        return self._in_prompt[ids] | self.in_reply(ids)

    @cached_property
    def distinct_in_reply(self) -> Counts:
        """How many different ids stood in the reply before each token, int64 [n]."""
        return self._distinct(np.flatnonzero(self._first < _NEVER))

    @cached_property
    def distinct_seen(self) -> Counts:
        """How many different ids stood in prompt or reply before each token, int64 [n]."""
        new = np.flatnonzero((self._first < _NEVER) & ~self._in_prompt)
        return self._distinct(new) + np.count_nonzero(self._in_prompt)

    def _distinct(self, ids: NDArray[np.intp]) -> Counts:
        return np.searchsorted(np.sort(self._first[ids]), self.places[:, 0])

    def counts(self, ids: NDArray[np.int32]) -> Counts:
        """Return how often each id stood in the reply before, int64 [n, k]."""
        size = len(self._reply) + 1
        keys = np.sort(self._reply * size + np.arange(len(self._reply)))
        wide = np.maximum(ids, 0).astype(np.int64) * size
        found = np.searchsorted(keys, wide + self.places) - np.searchsorted(keys, wide)
        return np.where(ids < 0, 0, found)

    @cached_property
    def highest_count(self) -> Counts:
        """How often the most frequent id stood in the reply before each token, int64 [n]."""
        counts: dict[int, int] = {}
        highest = [0]
        for token_id in self._reply.tolist():
            counts[token_id] = counts.get(token_id, 0) + 1
            highest.append(max(highest[-1], counts[token_id]))
        return np.array(highest[self.start : self.start + self.count], np.int64)

    def ngram_completions(self, size: int) -> "IdsPerRow":
        """Return for each token the ids that would repeat a run of `size` ids."""
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
        return IdsPerRow(self, rows, found)

    def same_ids(self, ids: Iterable[int], rows: Mask) -> "IdsPerRow":
        """Return the same `ids` for each of `rows` (bool [n]), none for the others."""
        listed = sorted(ids)
        at = np.flatnonzero(rows)
        return IdsPerRow(self, np.repeat(at, len(listed)).tolist(), listed * len(at))


class IdsPerRow:
    """A set of ids for each of `n` tokens, of different sizes."""

    def __init__(self, history: BatchedHistory, rows: list[int], ids: list[int]) -> None:
        self._size = history.vocab_size + 1
        inside = [(row, i) for row, i in zip(rows, ids, strict=True) if i < history.vocab_size]
        pairs = np.array(inside, np.int64).reshape(-1, 2)
        self._keys = np.sort(pairs[:, 0] * self._size + pairs[:, 1])
        self.counts: Counts = np.bincount(pairs[:, 0], minlength=history.count)
        """How many ids each row has, int64 [n]."""

    def contains(self, ids: NDArray[np.int32]) -> Mask:
        """Return whether each of `ids` (int32 [n, k]) is in the set of its row, bool [n, k]."""
        keys = np.arange(len(ids))[:, None] * self._size + ids
        keys[ids < 0] = -1
        if not len(self._keys):
            return np.zeros(ids.shape, np.bool_)
        at = np.minimum(np.searchsorted(self._keys, keys), len(self._keys) - 1)
        found: Mask = self._keys[at] == keys
        return found
