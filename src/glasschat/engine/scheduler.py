"""Which sequences take part in the next step, and with how many tokens."""

from collections import deque

from glasschat.engine.pacing import ChunkPacer
from glasschat.engine.sequence import Sequence
from glasschat.engine.slots import SlotPool

ScheduledBatch = dict[Sequence, int]
"""How many tokens each sequence computes in a step: one to decode, more to prefill."""


class Scheduler:
    """Continuous batching: admission to slots, then one token each and one bounded chunk.

    Every running sequence gets its token in every step. What is left of the step's budget goes
    to the prompts in the order of their arrival, so a long prompt delays the others by one chunk
    at most. A paused sequence comes as far as the row of its next token, and waits with it.

    With `exact`, what a reply that goes on has already is computed as it was when it was
    written, token by token: in chunks the logits would differ in their last digits.
    """

    def __init__(self, slots: SlotPool, pacer: ChunkPacer, *, exact: bool = False) -> None:
        self._slots = slots
        self._pacer = pacer
        self._exact = exact
        self.waiting: deque[Sequence] = deque()
        self.running: list[Sequence] = []

    def add(self, sequence: Sequence) -> None:
        """Queue a sequence."""
        self.waiting.append(sequence)

    def remove(self, sequence: Sequence) -> None:
        """Take a sequence out, wherever it is; its slot is free again."""
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
        for position, sequence in enumerate(self.waiting, start=1):
            sequence.generation._set_queue_position(position)
