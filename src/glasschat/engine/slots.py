"""The KV caches: who has which, and whose prefix can be used again."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from glasschat.engine.prefix_cache import (
    WORTH_MOVING,
    CachedPrefix,
    HostPrefixCache,
    Ids,
    as_ids,
    common_prefix,
)
from glasschat.models.base import ModelRunner

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Slot:
    """One sequence's KV cache. `ids` are the tokens at its positions, kept when it is free."""

    index: int
    ids: list[int] = field(default_factory=list)
    busy: bool = False
    last_used: int = 0


class SlotPool:
    """Gives slots to sequences so that the fewest tokens are computed twice.

    What slots held before others took them goes on a shelf of `prefix_cache_bytes` of main memory,
    and comes back from there. So does what idle slots hold, where it would slow down the others.

    With `reuse` off every sequence starts on an empty cache: exact mode.
    """

    def __init__(
        self, runner: ModelRunner, *, reuse: bool = True, prefix_cache_bytes: int = 0
    ) -> None:
        self._runner = runner
        self._reuse = reuse
        self._clock = 0
        self.slots = [Slot(index) for index in range(runner.slots)]
        self.shelf = HostPrefixCache(prefix_cache_bytes if reuse else 0)
        self.repairs = 0

    @property
    def free(self) -> int:
        """How many slots no sequence holds."""
        return sum(not slot.busy for slot in self.slots)

    @property
    def used(self) -> float:
        """The share of all positions that sequences hold; what free slots keep can give way."""
        held = sum(len(slot.ids) for slot in self.slots if slot.busy)
        return held / (len(self.slots) * self._runner.context)

    def acquire(self, prompt: Sequence[int]) -> tuple[Slot, int] | None:
        """A slot for `prompt`, and how many of its tokens are in it already; None if all are busy.

        At least the last token of the prompt is always left to compute: its logits are needed.
        """
        free = [slot for slot in self.slots if not slot.busy]
        if not free:
            return None
        wanted = as_ids(prompt[:-1])
        shared = self._shared_prefixes(wanted)
        source = max(
            self.slots, key=lambda slot: (shared[slot.index], not slot.busy, -slot.last_used)
        )
        length = shared[source.index]
        target = min(free, key=lambda slot: (len(slot.ids) > 0, slot.last_used))
        same_prompt = source.ids[: len(prompt)] == list(prompt)
        item, on_shelf = self.shelf.best(wanted)
        if item is not None and on_shelf - length >= max(WORTH_MOVING, len(item.ids) // 8):
            length = self._load(item, target, on_shelf)
        else:
            if not source.busy and (same_prompt or 2 * length >= len(source.ids) > 0):
                # Most of it is this prompt's own past, or its reply is asked for anew: go on in
                # it. A conversation that merely begins alike keeps its cache, and the least
                # recently used one gives way.
                target = source
            else:
                self._store(target)
            length = self._prepare(source, target, length)
        target.busy = True
        self._clock += 1
        target.last_used = self._clock
        if self._runner.idle_slots_cost:
            self._clear_idle()
        return target, length

    def catch_up(self, slot: Slot, prompt: Sequence[int]) -> int:
        """How many tokens of `prompt` the busy `slot` holds, after taking over what others have."""
        shared = self._shared_prefixes(as_ids(prompt[:-1]))
        source = max(self.slots, key=lambda other: shared[other.index])
        length = shared[source.index]
        if length - len(slot.ids) < WORTH_MOVING:
            return len(slot.ids)
        return self._prepare(source, slot, length)

    def release(self, slot: Slot) -> None:
        """The sequence has ended; its ids stay for the next turn."""
        slot.busy = False
        self._clock += 1
        slot.last_used = self._clock

    def forget(self, slot: Slot) -> None:
        """Empty the slot: what is in it cannot be trusted, nor what it may have come from."""
        self.shelf.forget(as_ids(slot.ids))
        slot.ids.clear()
        self._runner.truncate(slot.index, 0)

    def check(self) -> None:
        """Compare the books with the backend's own count, when nothing is running.

        A slot that differs, or that nobody gave back, is emptied and counted in `repairs`.
        """
        for slot in self.slots:
            held = self._runner.cached_length(slot.index)
            if slot.busy or held != len(slot.ids):
                log.error(
                    "slot %d holds %d positions and should hold %d%s: emptied",
                    slot.index,
                    held,
                    len(slot.ids),
                    " and be free" if slot.busy else "",
                )
                self.repairs += 1
                self.forget(slot)
                slot.busy = False

    def _shared_prefixes(self, wanted: Ids) -> list[int]:
        if not self._reuse:
            return [0] * len(self.slots)
        return [common_prefix(as_ids(slot.ids), wanted) for slot in self.slots]

    def _store(self, slot: Slot) -> None:
        """Have the shelf keep what a slot holds before it is gone."""
        ids = as_ids(slot.ids)
        if self.shelf.most_bytes == 0 or len(ids) < WORTH_MOVING or self.shelf.holds(ids):
            return
        saved = self._runner.save(slot.index)
        if saved is not None:
            self.shelf.put(ids, saved)

    def _load(self, item: CachedPrefix, target: Slot, length: int) -> int:
        """Put the first `length` tokens of it into a slot; how many came."""
        if 2 * length >= len(item.ids):
            self.shelf.take(item)
        else:
            # Another conversation that begins alike.
            self.shelf.use(item)
        self._store(target)
        restored = self._runner.restore(target.index, item.saved)
        kept = restored and self._runner.truncate(target.index, length)
        target.ids = item.ids[:length].tolist() if kept else []
        return len(target.ids)

    def _clear_idle(self) -> None:
        if self.shelf.most_bytes == 0:
            return
        for slot in self.slots:
            if not slot.busy and slot.ids:
                self._store(slot)
                slot.ids = []
                self._runner.truncate(slot.index, 0)

    def _prepare(self, source: Slot, target: Slot, length: int) -> int:
        if target is source or length == 0:
            kept = self._runner.truncate(target.index, length)
            ids = target.ids[:length]
        else:
            kept = self._runner.copy_prefix(source.index, target.index, length)
            ids = source.ids[:length]
        target.ids = ids if kept else []
        return len(target.ids)
