"""Continuous batching: which sequences take part in the next step, and with how many tokens."""

from collections import deque
from dataclasses import dataclass

from glasschat.engine.prefix_cache import MIN_SHARED_TOKENS, common_prefix, to_array
from glasschat.engine.sequence import Sequence
from glasschat.engine.slots import SlotPool

EXACT_CHUNK = 128
"""Tokens of a prompt in each chunk of an exact engine."""


class ChunkPacer:
    """Sizes prefill chunks by time, from the speed that was measured.

    While other sequences decode, a chunk is their delay, so it is kept short. Alone, it only bounds
    how long a cancel waits and how often progress shows. A fixed size (exact mode) makes the same
    prompt take the same steps every time.
    """

    SHARED_STEP_S = 0.1
    SOLE_STEP_S = 0.5
    MIN_TOKENS = 16
    MAX_TOKENS = 512

    def __init__(self, fixed: int | None = None) -> None:
        self._fixed = fixed
        self._tokens_per_s = 320.0

    def chunk_size(self, *, alone: bool) -> int:
        """Return the most prompt tokens that the next step may compute."""
        if self._fixed is not None:
            return self._fixed
        tokens = self._tokens_per_s * (self.SOLE_STEP_S if alone else self.SHARED_STEP_S)
        return max(self.MIN_TOKENS, min(self.MAX_TOKENS, int(tokens)))

    def record_step(self, prompt_tokens: int, seconds: float) -> None:
        """Update the speed from a step that computed `prompt_tokens` prompt tokens in `seconds`."""
        if prompt_tokens >= self.MIN_TOKENS and seconds > 0:
            self._tokens_per_s += 0.3 * (prompt_tokens / seconds - self._tokens_per_s)


ScheduledBatch = dict[Sequence, int]
"""How many tokens each sequence computes in a step: one to decode, more to prefill."""


class Scheduler:
    """Admits sequences to slots, then gives each one token or a share of a bounded prefill chunk.

    Every running sequence gets its token in every step. What is left of the step's budget goes to
    the prompts in the order of their arrival, so a long prompt delays the others by one chunk at
    most. A paused sequence comes as far as the row of its next token, and waits with it. Prompts
    that begin alike and come together are computed once: the later ones wait for the first, and
    take over what they share.

    With `exact`, what a continued reply has already is computed as it was when it was written,
    token by token: in chunks the logits would differ in their last digits.
    """

    def __init__(self, slots: SlotPool, pacer: ChunkPacer, *, exact: bool = False) -> None:
        self._slots = slots
        self._pacer = pacer
        self._exact = exact
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []
        self._prefix_waits: dict[Sequence, tuple[Sequence, int]] = {}

    def add(self, sequence: Sequence) -> None:
        """Put a sequence at the end of the queue."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Remove a sequence from the queue or the running ones, and free its slot."""
        self._prefix_waits.pop(sequence, None)
        if sequence in self.running:
            self.running.remove(sequence)
        elif sequence in self.waiting:
            self.waiting.remove(sequence)
        if sequence.slot is not None:
            self._slots.release(sequence.slot)
            sequence.slot = None

    def schedule(self) -> ScheduledBatch:
        """Admit waiting sequences and return the next step's batch; empty when nothing can run."""
        self._admit()
        batch: ScheduledBatch = {}
        prefilling: list[Sequence] = []
        for sequence in self.running:
            sequence.publish_state()
            if sequence.held_row is not None:
                continue
            if sequence.prefilling:
                if not self._waits_for_prefix(sequence):
                    prefilling.append(sequence)
            else:
                batch[sequence] = 1
        budget = self._pacer.chunk_size(alone=not batch)
        for sequence in prefilling:
            count = min(budget, self._max_chunk(sequence))
            if count == 0:
                break
            batch[sequence] = count
            budget -= count
        return batch

    def _max_chunk(self, sequence: Sequence) -> int:
        """Return how many ids of a prompt may be computed at once."""
        if not self._exact:
            return len(sequence.ids) - sequence.computed
        return max(1, sequence.reply_start - sequence.computed)

    def _admit(self) -> None:
        """Give free slots to waiting sequences in their order, and publish the queue positions."""
        while self.waiting:
            found = self._slots.acquire(self.waiting[0].request.prompt_ids)
            if found is None:
                break
            sequence = self.waiting.popleft()
            self.running.append(sequence)
            sequence.admit(*found)
            self._wait_for_shared_prefix(sequence)
        for position, sequence in enumerate(self.waiting, start=1):
            sequence.writer.set_queue_position(position)

    def _wait_for_shared_prefix(self, sequence: Sequence) -> None:
        """Have a sequence wait where a prompt before it is about to compute much of the same."""
        prompt = to_array(sequence.request.prompt_ids[:-1])
        for ahead in self.running[: self.running.index(sequence)]:
            if ahead.prefilling:
                shared = common_prefix(to_array(ahead.request.prompt_ids), prompt)
                if shared - sequence.computed >= MIN_SHARED_TOKENS:
                    self._prefix_waits[sequence] = (ahead, shared)
                    return

    def _waits_for_prefix(self, sequence: Sequence) -> bool:
        """Return whether a prefix that it shares is still being computed; if not, take it over."""
        found = self._prefix_waits.get(sequence)
        if found is None:
            return False
        ahead, shared = found
        if ahead.slot is not None and ahead.computed < shared:
            return True
        # The prefix is complete, or the sequence ahead has ended and will compute no more of it.
        del self._prefix_waits[sequence]
        assert sequence.slot is not None
        sequence.admit(
            sequence.slot, self._slots.take_over_prefix(sequence.slot, sequence.request.prompt_ids)
        )
        self._wait_for_shared_prefix(sequence)
        return sequence in self._prefix_waits


@dataclass(frozen=True, slots=True)
class EngineStats:
    """Load of the engine.

    `cache_used` is the share, 0 to 1, of the KV cache's positions that running replies hold;
    `prefix_cache_bytes` is the main memory that conversations without a slot take; `repairs` counts
    slots that the idle check had to empty.
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
        """Collect the figures; `arrived` requests are not scheduled yet."""
        return cls(
            running=len(scheduler.running),
            waiting=len(scheduler.waiting) + arrived,
            free_slots=slots.free,
            slots=len(slots.slots),
            cache_used=slots.cache_used,
            prefix_cache_bytes=slots.prefix_cache.bytes,
            repairs=slots.repairs,
            failed=failed,
        )
