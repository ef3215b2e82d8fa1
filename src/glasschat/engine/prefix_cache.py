"""Prefix cache in main memory: KV caches that slots held before other sequences took the slots."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.models.base import SavedCache

MIN_SHARED_TOKENS = 64
"""Fewer tokens are as quick to compute as to copy, to restore or to wait for."""

Ids = NDArray[np.int64]


@dataclass(eq=False, frozen=True, slots=True)
class CachedPrefix:
    """KV cache of the leading tokens of a conversation; `ids`, int64 [length], are the tokens."""

    ids: Ids
    saved: SavedCache


class HostPrefixCache:
    """Prefix cache of at most `max_bytes` of main memory, least recently used first out.

    Of two caches, one of which begins with all of the other, only the longer is kept.
    """

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self.bytes = 0
        # The one used last is the last.
        self._items: list[CachedPrefix] = []

    def __len__(self) -> int:
        return len(self._items)

    def contains(self, ids: Ids) -> bool:
        """Return whether an entry begins with all of `ids`, int64 [length]."""
        return any(common_prefix(item.ids, ids) == len(ids) for item in self._items)

    def store(self, ids: Ids, saved: SavedCache) -> None:
        """Keep the cache of `ids`, int64 [length]; one larger than the limit is not kept."""
        if saved.nbytes > self.max_bytes:
            return
        for item in list(self._items):
            if common_prefix(item.ids, ids) == len(item.ids):
                self.remove(item)
        self._items.append(CachedPrefix(ids, saved))
        self.bytes += saved.nbytes
        while self.bytes > self.max_bytes:
            self.remove(self._items[0])

    def find_longest(self, prompt: Ids) -> tuple[CachedPrefix | None, int]:
        """Return the entry that shares the most leading ids with `prompt`, and how many; None if
        none does.

        `prompt` is int64 [length].
        """
        found, longest = None, 0
        for item in self._items:
            length = common_prefix(item.ids, prompt)
            if length > longest:
                found, longest = item, length
        return found, longest

    def touch(self, item: CachedPrefix) -> None:
        """Mark an entry as the one used last."""
        self._items.remove(item)
        self._items.append(item)

    def remove(self, item: CachedPrefix) -> None:
        """Drop an entry and give back its memory."""
        self._items.remove(item)
        self.bytes -= item.saved.nbytes

    def invalidate(self, ids: Ids) -> None:
        """Drop every entry that `ids`, int64 [length], of a failed reply may have begun with."""
        for item in list(self._items):
            if common_prefix(item.ids, ids) >= MIN_SHARED_TOKENS:
                self.remove(item)


def to_array(ids: Sequence[int]) -> Ids:
    """Return ids as an array, int64 [length], for comparison."""
    return np.asarray(ids, dtype=np.int64)


def common_prefix(a: Ids, b: Ids) -> int:
    """Return how many leading ids two arrays, int64 [length], share."""
    length = min(len(a), len(b))
    differing = np.flatnonzero(a[:length] != b[:length])
    return int(differing[0]) if len(differing) else length
