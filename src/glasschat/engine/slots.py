"""KV cache slots: which sequence has which, and whose prefix can be reused."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from glasschat.engine.prefix_cache import (
    MIN_SHARED_TOKENS,
    CachedPrefix,
    HostPrefixCache,
    Ids,
    common_prefix,
    to_array,
)
from glasschat.models.base import ModelRunner

log = logging.getLogger(__name__)


@dataclass(slots=True)
class Slot:
    """KV cache of one sequence. `ids` are the tokens at its positions; a free slot keeps them."""

    index: int
    ids: list[int] = field(default_factory=list)
    busy: bool = False
    last_used: int = 0


class SlotPool:
    """Gives slots to sequences so that the fewest tokens are computed twice.

    What slots held before other sequences took them moves to a prefix cache of `prefix_cache_bytes`
    of main memory, and comes back from there. So does what idle slots hold, where it would slow
    down the busy ones.

    With `reuse` off every sequence starts on an empty cache: exact mode.
    """

    def __init__(
        self, runner: ModelRunner, *, reuse: bool = True, prefix_cache_bytes: int = 0
    ) -> None:
        self._runner = runner
        self._reuse = reuse
        self._clock = 0
        self.slots = [Slot(index) for index in range(runner.slots)]
        self.prefix_cache = HostPrefixCache(prefix_cache_bytes if reuse else 0)
        self.repairs = 0

    @property
    def free(self) -> int:
        """Return how many slots no sequence holds."""
        return sum(not slot.busy for slot in self.slots)

    @property
    def cache_used(self) -> float:
        """Return the share, 0 to 1, of all positions that busy slots hold."""
        held = sum(len(slot.ids) for slot in self.slots if slot.busy)
        return held / (len(self.slots) * self._runner.context)

    def acquire(self, prompt: Sequence[int]) -> tuple[Slot, int] | None:
        """Return a slot for `prompt` and how many of its tokens it holds; None if all are busy.

        At least the last token of the prompt is always left to compute: its logits are needed.
        """
        free = [slot for slot in self.slots if not slot.busy]
        if not free:
            return None
        reusable = to_array(prompt[:-1])
        shared = self._shared_lengths(reusable)
        source = max(
            self.slots, key=lambda slot: (shared[slot.index], not slot.busy, -slot.last_used)
        )
        length = shared[source.index]
        target = min(free, key=lambda slot: (len(slot.ids) > 0, slot.last_used))
        same_prompt = source.ids[: len(prompt)] == list(prompt)
        entry, cached_length = self.prefix_cache.find_longest(reusable)
        if entry is not None and cached_length - length >= max(
            MIN_SHARED_TOKENS, len(entry.ids) // 8
        ):
            length = self._load(entry, target, cached_length)
        else:
            if not source.busy and (same_prompt or 2 * length >= len(source.ids) > 0):
                # Most of it is this prompt's own past, or its reply is asked for anew: go on in
                # it. A conversation that merely begins alike keeps its cache, and the least
                # recently used one gives way.
                target = source
            else:
                self._store(target)
            length = self._reuse_prefix(source, target, length)
        target.busy = True
        self._clock += 1
        target.last_used = self._clock
        if self._runner.idle_slots_cost:
            self._offload_idle()
        return target, length

    def take_over_prefix(self, slot: Slot, prompt: Sequence[int]) -> int:
        """Copy to the busy `slot` what another slot has of `prompt`; return how many tokens it
        holds then.
        """
        shared = self._shared_lengths(to_array(prompt[:-1]))
        source = max(self.slots, key=lambda other: shared[other.index])
        length = shared[source.index]
        if length - len(slot.ids) < MIN_SHARED_TOKENS:
            return len(slot.ids)
        return self._reuse_prefix(source, slot, length)

    def release(self, slot: Slot) -> None:
        """Free the slot of a sequence that has ended; its ids stay for the next turn."""
        slot.busy = False
        self._clock += 1
        slot.last_used = self._clock

    def invalidate(self, slot: Slot) -> None:
        """Empty the slot, and drop the cached prefixes that it may have come from: they cannot be
        trusted.
        """
        self.prefix_cache.invalidate(to_array(slot.ids))
        slot.ids.clear()
        self._runner.truncate(slot.index, 0)

    def check_integrity(self) -> None:
        """Compare the recorded ids with the runner's own count, when nothing is running.

        A slot that differs, or that nobody released, is emptied and counted in `repairs`.
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
                self.invalidate(slot)
                slot.busy = False

    def _shared_lengths(self, prompt: Ids) -> list[int]:
        """Return for each slot how many leading ids it shares with `prompt`, int64 [length]."""
        if not self._reuse:
            return [0] * len(self.slots)
        return [common_prefix(to_array(slot.ids), prompt) for slot in self.slots]

    def _store(self, slot: Slot) -> None:
        """Store what a slot holds in the prefix cache before it is overwritten."""
        ids = to_array(slot.ids)
        if (
            self.prefix_cache.max_bytes == 0
            or len(ids) < MIN_SHARED_TOKENS
            or self.prefix_cache.contains(ids)
        ):
            return
        saved = self._runner.save(slot.index)
        if saved is not None:
            self.prefix_cache.store(ids, saved)

    def _load(self, entry: CachedPrefix, target: Slot, length: int) -> int:
        """Load the first `length` tokens of `entry` into `target`; return how many it holds."""
        if 2 * length >= len(entry.ids):
            self.prefix_cache.remove(entry)
        else:
            # It belongs to another conversation that begins alike.
            self.prefix_cache.touch(entry)
        self._store(target)
        restored = self._runner.restore(target.index, entry.saved)
        kept = restored and self._runner.truncate(target.index, length)
        target.ids = entry.ids[:length].tolist() if kept else []
        return len(target.ids)

    def _offload_idle(self) -> None:
        """Move what idle slots hold to the prefix cache."""
        if self.prefix_cache.max_bytes == 0:
            return
        for slot in self.slots:
            if not slot.busy and slot.ids:
                self._store(slot)
                slot.ids = []
                self._runner.truncate(slot.index, 0)

    def _reuse_prefix(self, source: Slot, target: Slot, length: int) -> int:
        """Make `target` hold the first `length` tokens of `source`; return how many it holds."""
        if target is source or length == 0:
            kept = self._runner.truncate(target.index, length)
            ids = target.ids[:length]
        else:
            kept = self._runner.copy_prefix(source.index, target.index, length)
            ids = source.ids[:length]
        target.ids = ids if kept else []
        return len(target.ids)
