"""Which sequences take part in the next step, and with how many tokens."""

from collections import deque
from dataclasses import dataclass

from glasschat.engine.prefix_cache import WORTH_MOVING, as_ids, common_prefix
from glasschat.engine.sequence import Sequence
from glasschat.engine.slots import SlotPool

EXACT_CHUNK = 128
"""Tokens of a prompt in each chunk of an exact engine."""


class ChunkPacer:
    """Sizes prefill chunks by time, from the speed that was measured.

    While others decode, a chunk is their delay, so it is kept short. Alone, it only bounds how
    long a cancel waits and how often progress shows. A fixed size (exact mode) makes the same
    prompt take the same steps every time.
    """

    BESIDE_OTHERS_S = 0.1
    ALONE_S = 0.5
    SMALLEST = 16
    LARGEST = 512

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._tokens_per_s = 320.0

    def chunk(self, *, alone: bool) -> int:
        """The most prompt tokens that the next step may compute."""
        if self._fixed is not None:
            return self._fixed
        wanted = self._tokens_per_s * (self.ALONE_S if alone else self.BESIDE_OTHERS_S)
        return max(self.SMALLEST, min(self.LARGEST, int(wanted)))

    def measured(self, prompt_tokens: int, seconds: float) -> None:
        """Learn from a step that computed `prompt_tokens` of prompts in `seconds`."""
        if prompt_tokens >= self.SMALLEST and seconds > 0:
            self._tokens_per_s += 0.3 * (prompt_tokens / seconds - self._tokens_per_s)


ScheduledBatch = dict[Sequence, int]
"""How many tokens each sequence computes in a step: one to decode, more to prefill."""


class Scheduler:
    """Continuous batching: admission to slots, then one token each and one bounded chunk.

    Every running sequence gets its token in every step. What is left of the step's budget goes
    to the prompts in the order of their arrival, so a long prompt delays the others by one chunk
    at most. A paused sequence comes as far as the row of its next token, and waits with it.
    Prompts that begin alike and come together are computed once: the later ones wait for the
    first, and take over what they share.

    With `exact`, what a reply that goes on has already is computed as it was when it was
    written, token by token: in chunks the logits would differ in their last digits.
    """

    def __init__(self, slots: SlotPool, pacer: ChunkPacer, *, exact: bool = False) -> None:
        self._slots = slots
        self._pacer = pacer
        self._exact = exact
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._behind: dict[Sequence, tuple[Sequence, int]] = {}

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is; its slot is free again."""
        self._behind.pop(sequence, None)
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence.slot is not None:
            self._slots.release(sequence.slot)
            sequence.slot = None

    def schedule(self) -> ScheduledBatch:
        """Admit who can be admitted and lay out the next step; empty when nothing can run."""
        self._admit()
        batch: ScheduledBatch = {}
        prefilling: list[Sequence] = []
        for sequence in self.running:
            sequence.show_state()
            if sequence.held is not None:
                continue
            if sequence.prefilling:
                if not self._waits(sequence):
                    prefilling.append(sequence)
            else:
                batch[sequence] = 1
        budget = self._pacer.chunk(alone=not batch)
        for sequence in prefilling:
            count = min(budget, self._remaining(sequence))
            if count == 0:
                break
            batch[sequence] = count
            budget -= count
        return batch

    def _remaining(self, sequence: Sequence) -> int:
        """How many ids of a prompt may be computed at once."""
        if not self._exact:
            return sequence.remaining
        return max(1, sequence.request.reply_start - sequence.computed)

    def _admit(self) -> None:
        while self.waiting:
            found = self._slots.acquire(self.waiting[0].request.prompt_ids)
            if found is None:
                break
            sequence = self.waiting.popleft()
            self.running.append(sequence)
            sequence.admit(*found)
            self._fall_in(sequence)
        for position, sequence in enumerate(self.waiting, start=1):
            sequence.generation._set_queue_position(position)

    def _fall_in(self, sequence: Sequence) -> None:
        """Have it wait where a prompt before it is about to compute much of the same."""
        wanted = as_ids(sequence.request.prompt_ids[:-1])
        for ahead in self.running[: self.running.index(sequence)]:
            if ahead.prefilling:
                shared = common_prefix(as_ids(ahead.request.prompt_ids), wanted)
                if shared - sequence.computed >= WORTH_MOVING:
                    self._behind[sequence] = (ahead, shared)
                    return

    def _waits(self, sequence: Sequence) -> bool:
        """Whether something it shares with another is still to come; what is there, it has now."""
        found = self._behind.get(sequence)
        if found is None:
            return False
        ahead, shared = found
        if ahead.slot is not None and ahead.computed < shared:
            return True
        # It is there, or the one before has gone, and what it had is all that will be.
        del self._behind[sequence]
        assert sequence.slot is not None
        sequence.admit(
            sequence.slot, self._slots.catch_up(sequence.slot, sequence.request.prompt_ids)
        )
        self._fall_in(sequence)
        return sequence in self._behind


@dataclass(frozen=True, slots=True)
class EngineStats:
    """What the engine is doing.

    `cache_used` is the share, 0 to 1, of the KV cache's positions that running replies hold;
    `prefix_cache_bytes` is the main memory that conversations without a slot take;
    `repairs` counts slots that the idle check had to empty.
    """

    running: int
    waiting: int
    free_slots: int
    slots: int
    cache_used: float
    prefix_cache_bytes: int
    repairs: int
    failed: str | None

    @classmethod
    def of(
        cls, scheduler: Scheduler, slots: SlotPool, arrived: int, failed: str | None
    ) -> "EngineStats":
        """With so many requests that have `arrived` and are not scheduled yet."""
        return cls(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting) + arrived,
            free_slots=slots.free,
            slots=len(slots.slots),
            cache_used=slots.used,
            prefix_cache_bytes=slots.shelf.bytes,
            repairs=slots.repairs,
            failed=failed,
        )
