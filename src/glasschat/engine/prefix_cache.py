"""What slots held before others took them, in main memory: to have back without computing it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from glasschat.models.base import SavedCache

WORTH_MOVING = 64
"""Fewer tokens are as quick to compute as to copy, to restore or to wait for."""

Ids = NDArray[np.int64]


@dataclass(eq=False, frozen=True, slots=True)
class CachedPrefix:
    """The KV cache of some leading tokens of a conversation, int64 [length]."""

    ids: Ids
    saved: SavedCache


class HostPrefixCache:
    """At most `most_bytes` of such caches; those that nobody has asked for longest give way.

    Of two caches, one of which begins with all of the other, only the longer is kept.
    """

    def __init__(self, most_bytes: int) -> None:
        self.most_bytes = most_bytes
        self.bytes = 0
        # The one used last is the last.
        self._items: list[CachedPrefix] = []

    def __len__(self) -> int:
        return len(self._items)

    def holds(self, ids: Ids) -> bool:
        """Whether one begins with all of these."""
        return any(common_prefix(item.ids, ids) == len(ids) for item in self._items)

    def put(self, ids: Ids, saved: SavedCache) -> None:
        """Keep one; it may be too large, and is not kept then."""
        if saved.nbytes > self.most_bytes:
            return
        for item in list(self._items):
            if common_prefix(item.ids, ids) == len(item.ids):
                self.take(item)
        self._items.append(CachedPrefix(ids, saved))
        self.bytes += saved.nbytes
        while self.bytes > self.most_bytes:
            self.take(self._items[0])

    def best(self, wanted: Ids) -> tuple[CachedPrefix | None, int]:
        """The one that shares most leading ids with `wanted`, and how many; None if none does."""
        found, longest = None, 0
        for item in self._items:
            length = common_prefix(item.ids, wanted)
            if length > longest:
                found, longest = item, length
        return found, longest

    def use(self, item: CachedPrefix) -> None:
        """Somebody has asked for it."""
        self._items.remove(item)
        self._items.append(item)

    def take(self, item: CachedPrefix) -> None:
        """Keep it no longer."""
        self._items.remove(item)
        self.bytes -= item.saved.nbytes

    def forget(self, ids: Ids) -> None:
        """Keep none that these, which went wrong, may have begun with."""
        for item in list(self._items):
            if common_prefix(item.ids, ids) >= WORTH_MOVING:
                self.take(item)


def as_ids(ids: Sequence[int]) -> Ids:
    """As an array, to be compared."""
    return np.asarray(ids, dtype=np.int64)


def common_prefix(a: Ids, b: Ids) -> int:
    """How many leading ids two sequences share."""
    length = min(len(a), len(b))
    differing = np.flatnonzero(a[:length] != b[:length])
    return int(differing[0]) if len(differing) else length
